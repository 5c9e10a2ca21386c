use super::*;
use proptest::prelude::*;

/// Frames of the bytes when they come in pieces of these lengths (the last one again and again).
fn frames(
    limits: FrameLimits,
    bytes: &[u8],
    pieces: &[usize],
) -> Result<Vec<Frame>, NotWellFormed> {
    let mut framer = Framer::new(limits, BytesMut::new());
    let mut frames = Vec::new();
    let mut rest = bytes;
    let mut pieces = pieces
        .iter()
        .chain(std::iter::repeat(pieces.last().unwrap_or(&1)));
    while !rest.is_empty() {
        let (piece, after) = rest.split_at((*pieces.next().unwrap()).clamp(1, rest.len()));
        framer.buffer().extend_from_slice(piece);
        while let Some(frame) = framer.poll_frame()? {
            frames.push(frame);
        }
        assert!(
            framer.buffer.len() <= limits.bytes + piece.len() + "-->".len(),
            "what is kept is bounded"
        );
        rest = after;
    }
    Ok(frames)
}

fn element(text: &str) -> Frame {
    Frame::Element(Bytes::copy_from_slice(text.as_bytes()))
}

fn left_out(opening: Option<&str>, excess: Excess) -> Frame {
    Frame::LeftOut {
        opening: opening.map(|text| Bytes::copy_from_slice(text.as_bytes())),
        excess,
    }
}

/// The same frames however the bytes are cut.
fn check(limits: FrameLimits, text: &str, expected: &[Frame]) {
    for piece in [1, 2, 3, 7, 64, 100_000] {
        assert_eq!(
            frames(limits, text.as_bytes(), &[piece]).as_deref(),
            Ok(expected),
            "{text:.200} in pieces of {piece}"
        );
    }
}

#[test]
fn elements_white_space_and_the_end() {
    check(
        FrameLimits::default(),
        " \n<message a='1'><body>hi</body></message>\n<iq/> <presence></presence> </stream:stream> ",
        &[
            element("<message a='1'><body>hi</body></message>"),
            element("<iq/>"),
            element("<presence></presence>"),
            Frame::End,
        ],
    );
}

#[test]
fn markup_within_quotes_comments_and_sections_is_no_markup() {
    for text in [
        "<m a='/>' b=\"</m>\"/>",
        "<m a='>'><b c=\"'\"/></m>",
        "<m><!-- </m> -- <b> --></m>",
        "<m><!----></m>",
        "<m><!--->--></m>",
        "<m><![CDATA[</m>]]]]></m>",
        "<m><?pi </m> ?></m>",
        "<m><a/></m >",
        "<m a = '1' />",
        "<m>]]&gt;</m>",
    ] {
        check(FrameLimits::default(), text, &[element(text)]);
    }
}

#[test]
fn comments_and_instructions_between_stanzas_are_dropped() {
    check(
        FrameLimits::default(),
        "<!-- <a/> --><?pi <b/> ?><m/>",
        &[element("<m/>")],
    );
}

#[test]
fn document_types_end_the_stream() {
    for text in [
        "<!DOCTYPE m>",
        "<m><!DOCTYPE m></m>",
        "<![CDATA[x]]>",
        "<!x",
    ] {
        for piece in [1, 100] {
            assert_eq!(
                frames(FrameLimits::default(), text.as_bytes(), &[piece]),
                Err(NotWellFormed),
                "{text}"
            );
        }
    }
}

#[test]
fn three_thousand_levels() {
    let deep = format!(
        "<message id='1'>{}{}</message><iq/>",
        "<a>".repeat(3000),
        "</a>".repeat(3000)
    );
    check(
        FrameLimits::default(),
        &deep,
        &[
            left_out(Some("<message id='1'>"), Excess::Depth),
            element("<iq/>"),
        ],
    );
    let most = format!("<m>{}{}</m>", "<a>".repeat(63), "</a>".repeat(63));
    check(FrameLimits::default(), &most, &[element(&most)]);
}

#[test]
fn nine_thousand_bytes_of_attribute_are_no_offence() {
    let long = format!("<message id='{}'><body/></message>", "x".repeat(9000));
    check(FrameLimits::default(), &long, &[element(&long)]);
}

#[test]
fn too_large() {
    let limits = FrameLimits {
        bytes: 100,
        ..FrameLimits::default()
    };
    let body = "y".repeat(200);
    for text in [
        format!("<m id='1'>{body}</m>"),
        format!("<m id='1'><a b='{body}'/></m>"),
        format!("<m id='1'><!--{body}<a>--></m>"),
        format!("<m id='1'><![CDATA[{body}</m>]]></m>"),
        format!("<m id='1'>{}</m>", "<a/>".repeat(50)),
    ] {
        check(
            limits,
            &format!("{text}<iq/>"),
            &[
                left_out(Some("<m id='1'>"), Excess::Bytes),
                element("<iq/>"),
            ],
        );
    }
}

#[test]
fn an_opening_tag_that_is_too_large_is_not_kept() {
    let limits = FrameLimits {
        bytes: 100,
        ..FrameLimits::default()
    };
    for end in ["/>", ">a</m>", "><b c='/'></b></m>"] {
        let text = format!("<m id='{}'{end}<iq/>", "z".repeat(200));
        let mut opening = None;
        for frame in frames(limits, text.as_bytes(), &[1]).unwrap() {
            if let Frame::LeftOut {
                opening: kept,
                excess,
            } = frame
            {
                assert_eq!(excess, Excess::Bytes);
                opening = Some(kept);
            }
        }
        assert_eq!(opening, Some(None), "{end}");
    }
}

#[test]
fn too_many_attributes_and_prefixes() {
    let many: String = (0..65).map(|n| format!(" a{n}='1'")).collect();
    check(
        FrameLimits::default(),
        &format!("<m id='1'><a{many}/></m><iq/>"),
        &[
            left_out(Some("<m id='1'>"), Excess::Attributes),
            element("<iq/>"),
        ],
    );
    check(
        FrameLimits::default(),
        &format!("<m{many}></m><iq/>"),
        &[left_out(None, Excess::Attributes), element("<iq/>")],
    );
    let prefixes: String = (0..65).map(|n| format!("<a xmlns:p{n} = 'u'/>")).collect();
    check(
        FrameLimits::default(),
        &format!("<m>{prefixes}</m>"),
        &[left_out(Some("<m>"), Excess::Prefixes)],
    );
    let defaults = format!("<m>{}</m>", "<a xmlns='u'/>".repeat(100));
    check(FrameLimits::default(), &defaults, &[element(&defaults)]);
}

#[test]
fn what_was_read_with_the_login_comes_first() {
    let mut framer = Framer::new(FrameLimits::default(), BytesMut::from(&b"<a/><b"[..]));
    assert_eq!(framer.poll_frame(), Ok(Some(element("<a/>"))));
    assert_eq!(framer.poll_frame(), Ok(None));
    framer.buffer().extend_from_slice(b"/>");
    assert_eq!(framer.poll_frame(), Ok(Some(element("<b/>"))));
}

proptest! {
    #[test]
    fn any_split_gives_the_same_frames(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                " ", "<m a='1'>", "</m>", "<b/>", "text", "<!-- x > < -->", "<![CDATA[ <m> ]]>", "<?p > ?>",
                "<c d=\"'\" e='>'/>", "<d xmlns:p='u'>", "</d>", "]]>", "--", "ü😀", "&amp;", "<", ">", "'", "\"", "!",
                "</stream:stream>",
            ]),
            0..60,
        ),
        pieces in prop::collection::vec(1usize..40, 1..30),
    ) {
        let text = parts.concat();
        let limits = FrameLimits { bytes: 120, depth: 5, attributes: 2, prefixes: 2 };
        let whole = frames(limits, text.as_bytes(), &[text.len().max(1)]);
        let cut = frames(limits, text.as_bytes(), &pieces);
        prop_assert_eq!(whole.is_ok(), cut.is_ok());
        if let (Ok(whole), Ok(cut)) = (whole, cut) {
            prop_assert_eq!(whole.len(), cut.len());
            for pair in whole.iter().zip(&cut) {
                match pair {
                    // Which of two bounds is broken first may depend on the cut.
                    (Frame::LeftOut { opening: whole, .. }, Frame::LeftOut { opening: cut, .. }) => {
                        prop_assert_eq!(whole, cut)
                    }
                    (whole, cut) => prop_assert_eq!(whole, cut),
                }
            }
        }
    }

    #[test]
    fn no_bytes_break_it(bytes in prop::collection::vec(any::<u8>(), 0..400), pieces in prop::collection::vec(1usize..40, 1..30)) {
        let limits = FrameLimits { bytes: 64, depth: 3, attributes: 2, prefixes: 1 };
        let _ = frames(limits, &bytes, &pieces);
    }
}
