//! Numbers and times as Postgres writes them, put straight into a row's bytes.
//!
//! Rows are mostly numbers and times, and the formatting of std and chrono takes several times as long; it serves what is rare:
//! numbers of many digits, years before 1 and after 9999.

use bytes::{BufMut, BytesMut};
use chrono::{DateTime, NaiveDate};

use crate::time::{Zone, to_local, written_offset};

/// Microseconds of a second.
const SECOND: i64 = 1_000_000;
/// Microseconds of a day.
const DAY: i64 = 86_400 * SECOND;

/// Days from 1970 to the first day of the year 1, and to the last one of the year 9999.
const FOUR_DIGITS: std::ops::RangeInclusive<i64> = -719_162..=2_932_896;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// What std formats.
pub fn put(out: &mut BytesMut, text: std::fmt::Arguments<'_>) {
    // memory does not fail to be written to
    let _ = std::fmt::Write::write_fmt(out, text);
}

/// `-12`.
pub fn integer(value: i64, out: &mut BytesMut) {
    if value < 0 {
        out.put_u8(b'-');
    }
    let mut digits = [0; 20];
    let (mut at, mut rest) = (digits.len(), value.unsigned_abs());
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.put_slice(&digits[at..]);
}

/// The shortest digits that are this number.
pub fn float8(value: f64, out: &mut BytesMut) {
    let hundredfold = value * 100.0;
    let hundredths = (hundredfold + 0.5_f64.copysign(value)) as i64;
    // no two numbers of 15 digits are one double: a double that is one of them has no shorter text, and no other as short
    let whole_hundredths = hundredfold.abs() < 1e15 && hundredths as f64 / 100.0 == value;
    // zero has a sign
    if whole_hundredths && (hundredths != 0 || value.is_sign_positive()) {
        if value < 0.0 {
            out.put_u8(b'-');
        }
        let size = hundredths.unsigned_abs();
        integer((size / 100) as i64, out);
        match padded::<2>(size % 100) {
            [b'0', b'0'] => {}
            [first, b'0'] => out.put_slice(&[b'.', first]),
            [first, second] => out.put_slice(&[b'.', first, second]),
        }
        return;
    }
    let is_short = value == 0.0 || (1e-4..1e15).contains(&value.abs());
    match is_short {
        true => put(out, format_args!("{value}")),
        false => with_power(value, format_args!("{value:e}"), out),
    }
}

/// As [`float8`].
pub fn float4(value: f32, out: &mut BytesMut) {
    let is_short = value == 0.0 || (1e-4..1e6).contains(&value.abs());
    match is_short {
        true => put(out, format_args!("{value}")),
        false => with_power(value.into(), format_args!("{value:e}"), out),
    }
}

/// `1.5e+20`: at least two digits of the power, and its sign.
fn with_power(value: f64, digits: std::fmt::Arguments<'_>, out: &mut BytesMut) {
    match value {
        _ if value.is_nan() => out.put_slice(b"NaN"),
        f64::INFINITY => out.put_slice(b"Infinity"),
        f64::NEG_INFINITY => out.put_slice(b"-Infinity"),
        _ => {
            let text = digits.to_string();
            let (digits, power) = text.split_once('e').unwrap_or((text.as_str(), "0"));
            let (sign, power) = power.strip_prefix('-').map_or(('+', power), |power| ('-', power));
            put(out, format_args!("{digits}e{sign}{power:0>2}"));
        }
    }
}

/// `\x00ff`.
pub fn hex(bytes: &[u8], out: &mut BytesMut) {
    out.put_slice(b"\\x");
    for &byte in bytes {
        out.put_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
}

/// A day, by its days from 1970.
pub fn date(days: i32, out: &mut BytesMut) {
    if let Some(day) = calendar(days.into()) {
        out.put_slice(&day);
    } else if let Some(day) = NaiveDate::from_epoch_days(days) {
        put(out, format_args!("{day}"));
    } else {
        infinity(days < 0, out);
    }
}

/// A time of day, by its microseconds.
pub fn time(micros: i64, out: &mut BytesMut) {
    out.put_slice(&of_day(micros.unsigned_abs()));
    fraction(micros.unsigned_abs() % SECOND as u64, out);
}

/// What a clock shows that is so many microseconds from 1970.
pub fn clock(micros: i64, out: &mut BytesMut) {
    let (days, micros_of_day) = (micros.div_euclid(DAY), micros.rem_euclid(DAY) as u64);
    if let Some(day) = calendar(days) {
        let mut text = [b' '; 19];
        text[..10].copy_from_slice(&day);
        text[11..].copy_from_slice(&of_day(micros_of_day));
        out.put_slice(&text);
    } else if let Some(time) = DateTime::from_timestamp_micros(micros) {
        put(out, format_args!("{}", time.format("%Y-%m-%d %H:%M:%S")));
    } else {
        return infinity(micros < 0, out);
    }
    fraction(micros_of_day % SECOND as u64, out);
}

/// What a zone's clock shows at an instant of so many microseconds, and how far it is ahead of UTC.
pub fn instant(micros: i64, zone: Zone, out: &mut BytesMut) {
    // this clock never changes
    if zone == Zone::UTC && FOUR_DIGITS.contains(&micros.div_euclid(DAY)) {
        clock(micros, out);
        return offset(0, out);
    }
    let known =
        |local: i64| FOUR_DIGITS.contains(&local.div_euclid(DAY)) || DateTime::from_timestamp_micros(local).is_some();
    match to_local(micros, zone) {
        Some(local) if known(local) => {
            clock(local, out);
            offset(((local - micros) / SECOND) as i32, out);
        }
        _ => clock(micros, out),
    }
}

/// `.25` of 250,000 microseconds, nothing of none.
pub fn fraction(micros: u64, out: &mut BytesMut) {
    if micros == 0 {
        return;
    }
    let digits: [u8; 6] = padded(micros);
    let end = digits.iter().rposition(|&digit| digit != b'0').map_or(0, |last| last + 1);
    out.put_u8(b'.');
    out.put_slice(&digits[..end]);
}

fn offset(seconds: i32, out: &mut BytesMut) {
    if seconds % 3600 != 0 {
        out.put_slice(written_offset(seconds).as_bytes());
        return;
    }
    out.put_u8(if seconds < 0 { b'-' } else { b'+' });
    out.put_slice(&padded::<2>(u64::from(seconds.unsigned_abs()) / 3600));
}

fn infinity(before: bool, out: &mut BytesMut) {
    out.put_slice(if before { b"-infinity" } else { b"infinity" });
}

/// `2026-10-25`; None where the year has not four digits. Years are counted from March, so that a leap day ends one
/// (<https://howardhinnant.github.io/date_algorithms.html#civil_from_days>).
fn calendar(days: i64) -> Option<[u8; 10]> {
    if !FOUR_DIGITS.contains(&days) {
        return None;
    }
    // from the 1st of March of the year 0
    let days = (days + 719_468) as u64;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let mut text = [b'-'; 10];
    text[..4].copy_from_slice(&padded::<4>(year));
    text[5..7].copy_from_slice(&padded::<2>(month));
    text[8..].copy_from_slice(&padded::<2>(day));
    Some(text)
}

/// `06:40:00` of so many microseconds of a day.
fn of_day(micros: u64) -> [u8; 8] {
    let seconds = micros / SECOND as u64;
    let mut text = [b':'; 8];
    text[..2].copy_from_slice(&padded::<2>(seconds / 3600));
    text[3..5].copy_from_slice(&padded::<2>(seconds / 60 % 60));
    text[6..].copy_from_slice(&padded::<2>(seconds % 60));
    text
}

/// The last digits of a number, with zeros before it.
fn padded<const DIGITS: usize>(mut value: u64) -> [u8; DIGITS] {
    let mut text = [b'0'; DIGITS];
    for digit in text.iter_mut().rev() {
        *digit += (value % 10) as u8;
        value /= 10;
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn written(write: impl FnOnce(&mut BytesMut)) -> String {
        let mut out = BytesMut::new();
        write(&mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    /// Numbers of all sizes, the same in each run (Knuth's MMIX generator).
    fn numbers() -> impl Iterator<Item = u64> {
        let next = |n: &u64| Some(n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407));
        std::iter::successors(Some(18), next).take(200_000)
    }

    #[test]
    fn integers_as_std_has_them() {
        let some = numbers().map(|n| n as i64 >> (n % 64));
        for n in some.chain([0, 9, 10, -10, i64::MIN, i64::MAX]) {
            assert_eq!(written(|out| integer(n, out)), n.to_string());
        }
    }

    #[test]
    fn floats_as_std_has_them() {
        let hundredths = numbers().map(|n| (n as i64 >> (8 + n % 56)) as f64 / 100.0);
        let thousandths = numbers().map(|n| (n as i64 >> (n % 64)) as f64 / 1000.0);
        let any = numbers().map(f64::from_bits).filter(|value| value.is_finite());
        let few =
            [0.0, -0.0, 0.5, -0.05, 0.29, 1e13, 9_999_999_999_999.99, 0.1 + 0.2, 1e-300, f64::MAX, 19.990000000000002];
        for value in hundredths.chain(thousandths).chain(any).chain(few) {
            let text = written(|out| float8(value, out));
            if value == 0.0 || (1e-4..1e15).contains(&value.abs()) {
                assert_eq!(text, value.to_string());
            } else {
                assert!(text.contains('e') && text.parse() == Ok(value), "{text}");
            }
        }
        for (value, text) in
            [(1e20, "1e+20"), (-1.5e300, "-1.5e+300"), (1e-5, "1e-05"), (1e15, "1e+15"), (1e-4, "0.0001")]
        {
            assert_eq!(written(|out| float8(value, out)), text);
        }
        assert_eq!(written(|out| float4(123_456_789.0, out)), "1.2345679e+08");
        for (value, text) in [(f64::NAN, "NaN"), (f64::INFINITY, "Infinity"), (f64::NEG_INFINITY, "-Infinity")] {
            assert_eq!(written(|out| float8(value, out)), text);
            assert_eq!(written(|out| float4(value as f32, out)), text);
        }
        assert_eq!(written(|out| float4(0.1, out)), "0.1");
    }

    #[test]
    fn times_as_chrono_has_them() {
        for days in (-800_000..3_000_000).step_by(13).chain([-719_163, -719_162, 2_932_896, 2_932_897]) {
            let day = NaiveDate::from_epoch_days(days).unwrap();
            assert_eq!(written(|out| date(days, out)), day.to_string());
        }
        // 71 years before and after 1970, and all that 64 bits can say
        let near = numbers().map(|n| n as i64 >> 12);
        for micros in near.chain(numbers().map(|n| n as i64)).chain([0, -1, 1, DAY, -DAY]) {
            let Some(time) = DateTime::from_timestamp_micros(micros) else { continue };
            let fraction = format!(".{:06}", micros.rem_euclid(SECOND));
            let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
            let expected = format!("{}{fraction}", time.format("%Y-%m-%d %H:%M:%S"));
            assert_eq!(written(|out| clock(micros, out)), expected, "{micros}");
        }
        assert_eq!(written(|out| clock(i64::MIN, out)), "-infinity");
        assert_eq!(written(|out| clock(i64::MAX, out)), "infinity");
        assert_eq!(written(|out| date(i32::MIN, out)), "-infinity");
        assert_eq!(written(|out| time(DAY - 1, out)), "23:59:59.999999");
        assert_eq!(written(|out| time(3_600_250_000, out)), "01:00:00.25");
    }

    #[test]
    fn bytes_in_hexadecimal() {
        assert_eq!(written(|out| hex(&[0, 10, 255], out)), "\\x000aff");
    }
}
