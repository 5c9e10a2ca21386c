//! HTML as plain text: what it says, without how it looks and without anything that could run. IM-11, SEC-18.
//!
//! No tree is built, nothing is fetched, and what is not well-formed comes out as far as it can be read.

/// Elements whose content is no text.
const SILENT: [&str; 6] = ["script", "style", "title", "head", "template", "svg"];
/// Elements that begin a line of their own.
const BLOCKS: [&str; 28] = [
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "dd",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figure",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "html",
    "ol",
    "section",
    "table",
    "tr",
    "ul",
    "nav",
];
/// Where a link may lead that is worth showing; what runs or hides data in it is not.
const SCHEMES: [&str; 12] = [
    "http:", "https:", "mailto:", "sip:", "sips:", "xmpp:", "tel:", "im:", "pres:", "ftp:", "geo:",
    "aesgcm:",
];

/// Characters of a tag.
const LONGEST_TAG: usize = 4096;

/// The text of a document.
pub fn text_of(html: &str) -> String {
    let mut page = Page::default();
    let mut rest = html;
    while let Some((before, after)) = rest.split_once('<') {
        page.say(before);
        rest = match tag(after) {
            Some((tag, after)) => page.on_tag(&tag, after),
            None => {
                page.say("<");
                after
            }
        };
    }
    page.say(rest);
    page.text.truncate(page.text.trim_end().len());
    page.text
}

#[derive(Default)]
struct Page {
    text: String,
    /// What comes between the last word and the next one.
    gap: Gap,
    /// Where open links lead, and where their text begins; the innermost last.
    links: Vec<(Option<String>, usize)>,
    /// Open elements whose white space counts.
    preformatted: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Gap {
    #[default]
    None,
    Space,
    Line,
    Paragraph,
}

struct Tag<'a> {
    name: String,
    is_end: bool,
    attributes: &'a str,
}

impl Page {
    fn say(&mut self, raw: &str) {
        if self.preformatted > 0 {
            self.fill_gap();
            unescape(raw, &mut self.text);
            return;
        }
        for (at, word) in raw.split(|c: char| c.is_ascii_whitespace()).enumerate() {
            if at > 0 {
                self.gap = self.gap.max(Gap::Space);
            }
            if !word.is_empty() {
                self.fill_gap();
                unescape(word, &mut self.text);
            }
        }
    }

    /// Returns what follows the tag, or its whole element if that is none for readers.
    fn on_tag<'a>(&mut self, tag: &Tag<'_>, after: &'a str) -> &'a str {
        match tag.name.as_str() {
            name if SILENT.contains(&name) && !tag.is_end => return skip(name, after),
            "br" => {
                self.fill_gap();
                self.text.push('\n');
            }
            "p" => self.gap = Gap::Paragraph,
            "pre" => {
                self.gap = self.gap.max(Gap::Line);
                self.preformatted = match tag.is_end {
                    true => self.preformatted.saturating_sub(1),
                    false => self.preformatted + 1,
                };
            }
            "li" if !tag.is_end => {
                self.gap = self.gap.max(Gap::Line);
                self.fill_gap();
                self.text.push_str("- ");
            }
            "td" | "th" => self.gap = self.gap.max(Gap::Space),
            "img" => {
                if let Some(words) = attribute(tag.attributes, "alt") {
                    self.say(&words);
                }
            }
            "a" if tag.is_end => self.end_link(),
            "a" => {
                let target = attribute(tag.attributes, "href").filter(|target| is_shown(target));
                self.links.push((target, self.text.len()));
            }
            name if BLOCKS.contains(&name) => self.gap = self.gap.max(Gap::Line),
            _ => {}
        }
        after
    }

    /// A link is shown where its text does not say where it leads.
    fn end_link(&mut self) {
        let Some((Some(target), begin)) = self.links.pop() else {
            return;
        };
        let words = self.text.get(begin..).unwrap_or_default().trim();
        let is_said = target.ends_with(words) && !words.is_empty();
        if !is_said {
            self.fill_gap();
            if !words_end_in_space(&self.text) {
                self.text.push(' ');
            }
            self.text.push('<');
            self.text.push_str(&target);
            self.text.push('>');
        }
    }

    fn fill_gap(&mut self) {
        let gap = std::mem::take(&mut self.gap);
        if self.text.is_empty() || (gap == Gap::Space && words_end_in_space(&self.text)) {
            return;
        }
        match gap {
            Gap::None => {}
            Gap::Space => self.text.push(' '),
            Gap::Line if self.text.ends_with('\n') => {}
            Gap::Line => self.text.push('\n'),
            Gap::Paragraph => {
                while !self.text.ends_with("\n\n") {
                    self.text.push('\n');
                }
            }
        }
    }
}

fn words_end_in_space(text: &str) -> bool {
    text.is_empty() || text.ends_with(char::is_whitespace)
}

/// Reads a tag or comment after its `<`, and returns what follows it. `None`: it is none.
fn tag(after: &str) -> Option<(Tag<'_>, &str)> {
    let nothing = |rest| {
        let tag = Tag {
            name: String::new(),
            is_end: false,
            attributes: "",
        };
        Some((tag, rest))
    };
    if let Some(comment) = after.strip_prefix("!--") {
        return nothing(comment.split_once("-->").map_or("", |(_, rest)| rest));
    }
    if after.starts_with(['!', '?']) {
        return nothing(after.split_once('>').map_or("", |(_, rest)| rest));
    }
    let (is_end, inner) = match after.strip_prefix('/') {
        Some(inner) => (true, inner),
        None => (false, after),
    };
    if !inner.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return None;
    }
    let mut quote = None;
    // No tag is longer, and a text full of `<` is not searched to its end for each of them.
    let end = inner.char_indices().take(LONGEST_TAG).find_map(|(at, c)| {
        match (quote, c) {
            (None, '>') => return Some(at),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
        None
    })?;
    let (inner, rest) = inner.split_at_checked(end)?;
    let rest = rest.strip_prefix('>').unwrap_or(rest);
    let is_name = |c: char| !c.is_ascii_whitespace() && c != '/';
    let name_end = inner.find(|c| !is_name(c)).unwrap_or(inner.len());
    let (name, attributes) = inner.split_at_checked(name_end)?;
    let tag = Tag {
        name: name.to_ascii_lowercase(),
        is_end,
        attributes,
    };
    Some((tag, rest))
}

/// What follows the end of that element.
fn skip<'a>(name: &str, mut rest: &'a str) -> &'a str {
    while let Some((_, after)) = rest.split_once("</") {
        let begins = after.get(..name.len());
        if begins.is_some_and(|begins| begins.eq_ignore_ascii_case(name)) {
            return after.split_once('>').map_or("", |(_, rest)| rest);
        }
        rest = after;
    }
    ""
}

fn attribute(attributes: &str, name: &str) -> Option<String> {
    let mut rest = attributes;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
        let end = rest
            .find(|c: char| c.is_ascii_whitespace() || c == '=')
            .unwrap_or(rest.len());
        let (found, after) = rest.split_at_checked(end)?;
        if found.is_empty() && after.is_empty() {
            return None;
        }
        let after = after.trim_start();
        let Some(value) = after.strip_prefix('=') else {
            rest = after;
            continue;
        };
        let value = value.trim_start();
        let (value, after) = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => value.get(1..)?.split_once(quote)?,
            _ => {
                let is_space = |c: char| c.is_ascii_whitespace();
                value.split_once(is_space).unwrap_or((value, ""))
            }
        };
        if found.eq_ignore_ascii_case(name) {
            let mut unescaped = String::new();
            unescape(value, &mut unescaped);
            return Some(unescaped);
        }
        rest = after;
    }
}

fn is_shown(target: &str) -> bool {
    let starts = |scheme: &&str| {
        let begin = target.get(..scheme.len());
        begin.is_some_and(|begin| begin.eq_ignore_ascii_case(scheme))
    };
    SCHEMES.iter().any(starts) && !target.contains(char::is_control)
}

/// Appends text with its character references resolved; one that is unknown stays as it is.
fn unescape(raw: &str, out: &mut String) {
    let mut rest = raw;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let end = after.find(';').filter(|end| *end <= 10);
        let reference = end.and_then(|end| after.get(..end));
        match reference.and_then(character) {
            Some(c) => {
                out.push(c);
                rest = end.and_then(|end| after.get(end + 1..)).unwrap_or_default();
            }
            None => {
                out.push('&');
                rest = after;
            }
        }
    }
    out.push_str(rest);
}

fn character(reference: &str) -> Option<char> {
    if let Some(number) = reference.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        };
        return char::from_u32(code);
    }
    if let Some(at) = LATIN_1.iter().position(|name| *name == reference) {
        return char::from_u32(160 + u32::try_from(at).ok()?);
    }
    let known = NAMED.iter().find(|(name, _)| *name == reference)?;
    Some(known.1)
}

/// Of HTML 4, beside those of [`LATIN_1`]: what is written in messages.
const NAMED: [(&str, char); 26] = [
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("apos", '\''),
    ("euro", '€'),
    ("hellip", '…'),
    ("mdash", '—'),
    ("ndash", '–'),
    ("lsquo", '‘'),
    ("rsquo", '’'),
    ("sbquo", '‚'),
    ("ldquo", '“'),
    ("rdquo", '”'),
    ("bdquo", '„'),
    ("lsaquo", '‹'),
    ("rsaquo", '›'),
    ("bull", '•'),
    ("trade", '™'),
    ("larr", '←'),
    ("uarr", '↑'),
    ("rarr", '→'),
    ("darr", '↓'),
    ("OElig", 'Œ'),
    ("oelig", 'œ'),
    ("Scaron", 'Š'),
];

/// The names of U+00A0 to U+00FF in their order.
#[rustfmt::skip]
const LATIN_1: [&str; 96] = [
    "nbsp", "iexcl", "cent", "pound", "curren", "yen", "brvbar", "sect", "uml", "copy", "ordf", "laquo", "not",
    "shy", "reg", "macr", "deg", "plusmn", "sup2", "sup3", "acute", "micro", "para", "middot", "cedil", "sup1",
    "ordm", "raquo", "frac14", "frac12", "frac34", "iquest", "Agrave", "Aacute", "Acirc", "Atilde", "Auml",
    "Aring", "AElig", "Ccedil", "Egrave", "Eacute", "Ecirc", "Euml", "Igrave", "Iacute", "Icirc", "Iuml", "ETH",
    "Ntilde", "Ograve", "Oacute", "Ocirc", "Otilde", "Ouml", "times", "Oslash", "Ugrave", "Uacute", "Ucirc",
    "Uuml", "Yacute", "THORN", "szlig", "agrave", "aacute", "acirc", "atilde", "auml", "aring", "aelig",
    "ccedil", "egrave", "eacute", "ecirc", "euml", "igrave", "iacute", "icirc", "iuml", "eth", "ntilde",
    "ograve", "oacute", "ocirc", "otilde", "ouml", "divide", "oslash", "ugrave", "uacute", "ucirc", "uuml",
    "yacute", "thorn", "yuml",
];

#[cfg(test)]
mod tests {
    use super::*;

    // IM-11
    #[test]
    fn what_a_page_says() {
        for (html, text) in [
            ("plain", "plain"),
            ("<p>one</p><p>two</p>", "one\n\ntwo"),
            (
                "<div>one</div>\n <div>two <b>three</b></div>",
                "one\ntwo three",
            ),
            ("one<br>two<br/>\nthree", "one\ntwo\nthree"),
            ("  one \n\t two  ", "one two"),
            ("<ul><li>one</li><li>two</li></ul>end", "- one\n- two\nend"),
            ("<pre>a\n  b</pre>c", "a\n  b\nc"),
            (
                "<!DOCTYPE html><html><head><title>x</title></head><body>y</body></html>",
                "y",
            ),
            ("a<!-- b > c -->d", "ad"),
            (
                "1 < 2 &amp;&lt;&gt;&quot;&#8364;&#x1F3AD;&eacute;&nbsp;&unknown; & x",
                "1 < 2 &<>\"€🎭é\u{a0}&unknown; & x",
            ),
            (
                "<a href='https://example.com/x?a=1&amp;b=2'>here</a>",
                "here <https://example.com/x?a=1&b=2>",
            ),
            (
                "<a href=\"https://example.com\">https://example.com</a>",
                "https://example.com",
            ),
            ("<img src='http://x' alt=':-)'>", ":-)"),
            ("<b title='a>b'>c</b>", "c"),
            (
                "<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>",
                "a b\nc",
            ),
            ("a<", "a<"),
            ("<b", "<b"),
            ("&#0;&#xD800;&#99999999;", "\0&#xD800;&#99999999;"),
        ] {
            assert_eq!(text_of(html), text, "{html}");
        }
    }

    // SEC-18
    #[test]
    fn nothing_that_runs_is_left() {
        for (html, text) in [
            ("a<script>alert('<b>')</script>b", "ab"),
            ("a<SCRIPT\n src=x>alert(1)</script >b", "ab"),
            ("a<style>p { color: red }</style>b", "ab"),
            ("a<script>never closed", "a"),
            ("<b onclick='alert(1)'>a</b>", "a"),
            ("<a href='javascript:alert(1)'>a</a>", "a"),
            ("<a href=' javascript:alert(1)'>a</a>", "a"),
            ("<a href='java&#9;script:alert(1)'>a</a>", "a"),
            ("<a href='data:text/html,x'>a</a>", "a"),
            ("<a href='file:///etc/passwd'>a</a>", "a"),
        ] {
            assert_eq!(text_of(html), text, "{html}");
        }
    }

    // SEC-14
    #[test]
    fn depth_and_length_cost_no_more_than_their_bytes() {
        let deep = "<div><a href='http://x'>".repeat(100_000);
        assert_eq!(text_of(&deep), "");
        assert_eq!(text_of(&"<".repeat(100_000)).len(), 100_000);
        assert_eq!(text_of(&"&".repeat(100_000)).len(), 100_000);
        let _ = text_of(&"</a>".repeat(100_000));
    }
}
