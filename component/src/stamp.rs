//! Times as XMPP and CPIM write them: `2002-09-10T23:08:25Z`. XEP-0082 §3.2, RFC 3339. And as SIP does:
//! `Tue, 10 Sep 2002 23:08:25 GMT`. RFC 3261 §20.17.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DAY: i64 = 86_400;

/// The time in UTC, to the millisecond.
pub fn format(time: SystemTime) -> String {
    let (seconds, millis) = match time.duration_since(UNIX_EPOCH) {
        Ok(since) => (
            i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            since.subsec_millis(),
        ),
        Err(_) => (0, 0),
    };
    let (year, month, day) = date_of(seconds.div_euclid(DAY));
    let second = seconds.rem_euclid(DAY);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{millis:03}Z",
        second / 3600,
        second / 60 % 60,
        second % 60,
    )
}

/// The time that a text names; `None` for one that is no `DateTime` or lies before 1970.
///
/// The old form of XEP-0091 (`20020910T23:08:25`) is not understood: it has been obsolete since 2009.
pub fn parse(text: &str) -> Option<SystemTime> {
    let (date, clock) = text.trim().split_once('T')?;
    let mut date = date.splitn(3, '-').map(number);
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let (clock, offset) = split_offset(clock)?;
    let (clock, fraction) = match clock.split_once('.') {
        Some((clock, fraction)) => (clock, nanos(fraction)?),
        None => (clock, 0),
    };
    let mut clock = clock.splitn(3, ':').map(number);
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || year > 9999 {
        return None;
    }
    // A leap second (60) is taken as the first of the next minute.
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let seconds = days_to(year, month, day) * DAY + hour * 3600 + minute * 60 + second - offset;
    UNIX_EPOCH.checked_add(Duration::new(u64::try_from(seconds).ok()?, fraction))
}

/// The time in UTC, to the second, for a Date header.
pub fn format_date(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    let days = seconds.div_euclid(DAY);
    let (year, month, day) = date_of(days);
    let second = seconds.rem_euclid(DAY);
    // 1970-01-01 was a Thursday.
    let weekday = usize::try_from((days + 3).rem_euclid(7)).unwrap_or_default();
    let month = usize::try_from(month - 1).unwrap_or_default();
    format!(
        "{}, {day:02} {} {year:04} {:02}:{:02}:{:02} GMT",
        WEEKDAYS.get(weekday).unwrap_or(&"Mon"),
        MONTHS.get(month).unwrap_or(&"Jan"),
        second / 3600,
        second / 60 % 60,
        second % 60,
    )
}

/// The time that a Date header names; `None` for one that is none or lies before 1970.
pub fn parse_date(text: &str) -> Option<SystemTime> {
    let (_, date) = text.split_once(',')?;
    let mut words = date.split_ascii_whitespace();
    let (day, month, year) = (
        number(words.next()?)?,
        words.next()?,
        number(words.next()?)?,
    );
    let mut clock = words.next()?.splitn(3, ':').map(number);
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let month = MONTHS.iter().position(|name| *name == month)?;
    let month = i64::try_from(month + 1).ok()?;
    let is_time = (1..=31).contains(&day) && hour <= 23 && minute <= 59 && second <= 60;
    if !is_time || words.next() != Some("GMT") {
        return None;
    }
    let seconds = days_to(year, month, day) * DAY + hour * 3600 + minute * 60 + second;
    UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(seconds).ok()?))
}

const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

fn number(digits: &str) -> Option<i64> {
    let plain = (1..=4).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().ok())?
}

fn nanos(fraction: &str) -> Option<u32> {
    if fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let nine: String = fraction
        .chars()
        .chain("000000000".chars())
        .take(9)
        .collect();
    nine.parse().ok()
}

/// Splits `23:08:25+01:00` into the clock and its seconds east of UTC.
fn split_offset(clock: &str) -> Option<(&str, i64)> {
    if let Some(clock) = clock.strip_suffix('Z') {
        return Some((clock, 0));
    }
    let at = clock.rfind(['+', '-'])?;
    let (clock, offset) = clock.split_at_checked(at)?;
    let sign = if offset.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = offset.get(1..)?.split_once(':')?;
    Some((
        clock,
        sign * (number(hours)? * 3600 + number(minutes)? * 60),
    ))
}

/// Days from 1970-01-01 to a date of the Gregorian calendar.
///
/// Years are counted from March, so that the leap day is the last of its year.
fn days_to(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year
        - 719_468
}

/// The date so many days after 1970-01-01.
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = (from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unix(text: &str) -> Option<u64> {
        parse(text).map(|time| time.duration_since(UNIX_EPOCH).unwrap().as_secs())
    }

    #[test]
    fn reads_what_the_specification_shows() {
        assert_eq!(unix("1969-07-21T02:56:15Z"), None);
        assert_eq!(unix("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(unix("2002-09-10T23:08:25Z"), Some(1_031_699_305));
        assert_eq!(unix("2002-09-10T23:08:25.123Z"), Some(1_031_699_305));
        assert_eq!(unix("2002-09-11T01:08:25+02:00"), Some(1_031_699_305));
        assert_eq!(unix("2002-09-10T16:08:25-07:00"), Some(1_031_699_305));
        assert_eq!(unix("2024-02-29T00:00:00Z"), Some(1_709_164_800));
    }

    #[test]
    fn refuses_what_is_no_time() {
        for text in [
            "",
            "T",
            "now",
            "2002-09-10",
            "2002-13-10T00:00:00Z",
            "2002-09-10T24:00:00Z",
            "2002-09-10T00:00:00",
            "2002-09-10T00:00:00.Z",
            "99999-01-01T00:00:00Z",
            "20020910T23:08:25",
            "2002-09-10T00:00Z",
            "2002-09-10T00:00:00+0100",
            "é-é-éTé+é",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    // IM-15
    #[test]
    fn dates_of_sip() {
        let time = UNIX_EPOCH + Duration::from_secs(1_289_690_940);
        assert_eq!(parse_date("Sat, 13 Nov 2010 23:29:00 GMT"), Some(time));
        assert_eq!(format_date(time), "Sat, 13 Nov 2010 23:29:00 GMT");
        for seconds in (0..4_000_000_000u64).step_by(86_399 * 97) {
            let time = UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(parse_date(&format_date(time)), Some(time));
        }
        for text in [
            "",
            "Sat",
            "Sat, 13 Nov 2010",
            "Sat, 13 Nov 2010 23:29:00",
            "Sat, 13 Nov 2010 23:29:00 CET",
            "Sat, 13 XXX 2010 23:29:00 GMT",
            "Sat, 32 Nov 2010 23:29:00 GMT",
            "Fri, 13 Nov 1960 23:29:00 GMT",
        ] {
            assert_eq!(parse_date(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for seconds in (0..4_000_000_000u64).step_by(86_399 * 97) {
            let time = UNIX_EPOCH + Duration::from_millis(seconds * 1000 + 7);
            assert_eq!(parse(&format(time)), Some(time));
        }
        let time = UNIX_EPOCH + Duration::from_secs(1_031_699_305);
        assert_eq!(format(time), "2002-09-10T23:08:25.000Z");
    }
}
