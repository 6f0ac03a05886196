//! The bytes of a macaroon: reading format v1 and v2, writing v2, and the HMAC chain over its caveats.
//!
//! The formats are libmacaroons' (<https://github.com/rescrv/libmacaroons/blob/master/doc/format.txt>), the chain is
//! byte-identical to pymacaroons', which PyPI uses. This module knows bytes only; what a caveat means stands in
//! [`crate::caveat`].

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::secret::TokenKey;

/// The longest field (location, identifier, caveat) that is read, in bytes.
pub const FIELD_BYTES_MAX: usize = 64 * 1024;
/// The most caveats a presented macaroon may carry.
pub const CAVEATS_MAX: usize = 256;

const SIGNATURE_BYTES: usize = 32;
/// The constant that libmacaroons derives every root key with.
const KEY_GENERATOR: &[u8] = b"macaroons-key-generator";

const V2_VERSION: u8 = 2;
const V2_END: u64 = 0;
const V2_LOCATION: u64 = 1;
const V2_IDENTIFIER: u64 = 2;
const V2_VERIFICATION_ID: u64 = 4;
const V2_SIGNATURE: u64 = 6;

/// A macaroon as it was presented. Nothing about it is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Macaroon {
    /// A hint where the macaroon is for. Not covered by the signature, so nothing may depend on it.
    pub location: Vec<u8>,
    /// Names the key that signed it.
    pub identifier: Vec<u8>,
    /// The restrictions, in the order in which the chain covers them.
    pub caveats: Vec<CaveatBytes>,
    /// The end of the HMAC chain.
    pub signature: [u8; SIGNATURE_BYTES],
}

/// One caveat as bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaveatBytes {
    /// What the caveat says; for ours, JSON text.
    pub content: Vec<u8>,
    /// Present on a third-party caveat, which this index can never satisfy: it issues no discharges.
    pub verification_id: Option<Vec<u8>>,
}

/// Why bytes are not a macaroon. People read one text for all of them; the variants are for tests and operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MacaroonError {
    /// Neither a v2 version byte nor the hex digit that begins a v1 packet.
    #[error("not a macaroon of format v1 or v2")]
    UnknownFormat,
    /// The bytes end inside a field or a section.
    #[error("the macaroon is cut off")]
    Truncated,
    /// A field is longer than [`FIELD_BYTES_MAX`].
    #[error("a field is longer than {FIELD_BYTES_MAX} bytes")]
    FieldTooLong,
    /// A field stands where it may not, is missing or appears twice.
    #[error("the macaroon's fields are not in their order")]
    FieldOrder,
    /// More than [`CAVEATS_MAX`] caveats.
    #[error("more than {CAVEATS_MAX} caveats")]
    TooManyCaveats,
    /// The signature does not have 32 bytes.
    #[error("the signature does not have {SIGNATURE_BYTES} bytes")]
    SignatureLength,
    /// Something follows the signature.
    #[error("there are bytes after the signature")]
    TrailingBytes,
}

impl Macaroon {
    /// A macaroon of format v2 with first-party caveats, signed with `key`.
    pub fn issue(key: &TokenKey, location: &str, identifier: &str, caveats: &[String]) -> Macaroon {
        let mut macaroon = Macaroon {
            location: location.as_bytes().to_vec(),
            identifier: identifier.as_bytes().to_vec(),
            caveats: caveats
                .iter()
                .map(|text| CaveatBytes { content: text.as_bytes().to_vec(), verification_id: None })
                .collect(),
            signature: [0; SIGNATURE_BYTES],
        };
        macaroon.signature = macaroon.chain(key);
        macaroon
    }

    /// Adds a restriction, as any holder can without the key. The result can never do more than the original.
    pub fn attenuate(&mut self, caveat: &[u8]) {
        self.signature = hmac(&self.signature, &[caveat]);
        self.caveats.push(CaveatBytes { content: caveat.to_vec(), verification_id: None });
    }

    /// Whether the signature is the end of the chain that `key` makes over exactly these caveats in this order.
    /// Compared in constant time.
    pub fn chain_holds(&self, key: &TokenKey) -> bool {
        self.chain(key).ct_eq(&self.signature).into()
    }

    fn chain(&self, key: &TokenKey) -> [u8; SIGNATURE_BYTES] {
        let root = hmac(KEY_GENERATOR, &[key.expose()]);
        let mut signature = hmac(&root, &[&self.identifier]);
        for caveat in &self.caveats {
            signature = match &caveat.verification_id {
                None => hmac(&signature, &[&caveat.content]),
                Some(id) => {
                    let of_id = hmac(&signature, &[id]);
                    let of_content = hmac(&signature, &[&caveat.content]);
                    hmac(&signature, &[&of_id, &of_content])
                }
            };
        }
        signature
    }

    /// Reads format v2 (version byte 2) or v1 (text packets, which begin with a hex digit).
    ///
    /// # Errors
    /// [`MacaroonError`] names the rule that the bytes break.
    pub fn parse(bytes: &[u8]) -> Result<Macaroon, MacaroonError> {
        match bytes.split_first() {
            Some((&V2_VERSION, rest)) => parse_v2(rest),
            Some((first, _)) if first.is_ascii_hexdigit() => parse_v1(bytes),
            _ => Err(MacaroonError::UnknownFormat),
        }
    }

    /// The binary form v2.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![V2_VERSION];
        write_field(&mut out, V2_LOCATION, &self.location);
        write_field(&mut out, V2_IDENTIFIER, &self.identifier);
        write_varint(&mut out, V2_END);
        for caveat in &self.caveats {
            write_field(&mut out, V2_IDENTIFIER, &caveat.content);
            if let Some(id) = &caveat.verification_id {
                write_field(&mut out, V2_VERIFICATION_ID, id);
            }
            write_varint(&mut out, V2_END);
        }
        write_varint(&mut out, V2_END);
        write_field(&mut out, V2_SIGNATURE, &self.signature);
        out
    }
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; SIGNATURE_BYTES] {
    #[expect(
        clippy::expect_used,
        reason = "HMAC takes a key of any length; the error type has no value for it"
    )]
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

fn write_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn write_field(out: &mut Vec<u8>, kind: u64, content: &[u8]) {
    write_varint(out, kind);
    write_varint(out, content.len() as u64);
    out.extend_from_slice(content);
}

/// Takes bytes off the front; never reads past the end.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], MacaroonError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(MacaroonError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64, MacaroonError> {
        let mut value = 0u64;
        // Five groups of seven bits hold every length and kind that can be accepted; a longer one is too long anyway.
        for shift in [0, 7, 14, 21, 28] {
            let (&byte, rest) = self.rest.split_first().ok_or(MacaroonError::Truncated)?;
            self.rest = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(MacaroonError::FieldTooLong)
    }

    fn content(&mut self) -> Result<&'a [u8], MacaroonError> {
        let length = usize::try_from(self.varint()?).map_err(|_| MacaroonError::FieldTooLong)?;
        if length > FIELD_BYTES_MAX {
            return Err(MacaroonError::FieldTooLong);
        }
        self.take(length)
    }

    /// The fields of one section up to its end. Which kinds may stand there, and in which order, its reader says.
    fn section(&mut self) -> Result<Vec<(u64, &'a [u8])>, MacaroonError> {
        let mut fields: Vec<(u64, &'a [u8])> = Vec::new();
        loop {
            let kind = self.varint()?;
            if kind == V2_END {
                return Ok(fields);
            }
            fields.push((kind, self.content()?));
        }
    }
}

fn parse_v2(bytes: &[u8]) -> Result<Macaroon, MacaroonError> {
    let mut reader = Reader { rest: bytes };
    let (location, identifier) = match reader.section()?.as_slice() {
        [(V2_LOCATION, location), (V2_IDENTIFIER, identifier)] => (location.to_vec(), identifier.to_vec()),
        [(V2_IDENTIFIER, identifier)] => (Vec::new(), identifier.to_vec()),
        _ => return Err(MacaroonError::FieldOrder),
    };
    let mut caveats = Vec::new();
    loop {
        let caveat = match reader.section()?.as_slice() {
            [] => break,
            [(V2_IDENTIFIER, content)] => CaveatBytes { content: content.to_vec(), verification_id: None },
            [(V2_IDENTIFIER, content), (V2_VERIFICATION_ID, id)]
            | [(V2_LOCATION, _), (V2_IDENTIFIER, content), (V2_VERIFICATION_ID, id)] => {
                CaveatBytes { content: content.to_vec(), verification_id: Some(id.to_vec()) }
            }
            _ => return Err(MacaroonError::FieldOrder),
        };
        if caveats.len() == CAVEATS_MAX {
            return Err(MacaroonError::TooManyCaveats);
        }
        caveats.push(caveat);
    }
    if reader.varint()? != V2_SIGNATURE {
        return Err(MacaroonError::FieldOrder);
    }
    let signature = reader.content()?.try_into().map_err(|_| MacaroonError::SignatureLength)?;
    if !reader.rest.is_empty() {
        return Err(MacaroonError::TrailingBytes);
    }
    Ok(Macaroon { location, identifier, caveats, signature })
}

/// One v1 packet: four hex digits that count the whole packet, a key, a space, a value, a newline.
fn packet<'a>(reader: &mut Reader<'a>) -> Result<(&'a [u8], &'a [u8]), MacaroonError> {
    let digits = reader.take(4)?;
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(MacaroonError::FieldOrder);
    }
    let length = str::from_utf8(digits)
        .ok()
        .and_then(|digits| usize::from_str_radix(digits, 16).ok())
        .ok_or(MacaroonError::FieldOrder)?;
    let body = reader.take(length.checked_sub(4).ok_or(MacaroonError::FieldOrder)?)?;
    let line = body.strip_suffix(b"\n").ok_or(MacaroonError::FieldOrder)?;
    let space = line.iter().position(|byte| *byte == b' ').ok_or(MacaroonError::FieldOrder)?;
    let (key, value) = line.split_at(space);
    Ok((key, value.split_first().map_or(&[][..], |(_, value)| value)))
}

fn parse_v1(bytes: &[u8]) -> Result<Macaroon, MacaroonError> {
    let mut reader = Reader { rest: bytes };
    let (b"location", location) = packet(&mut reader)? else { return Err(MacaroonError::FieldOrder) };
    let (b"identifier", identifier) = packet(&mut reader)? else { return Err(MacaroonError::FieldOrder) };
    let mut caveats: Vec<CaveatBytes> = Vec::new();
    // `vid` and `cl` may each follow a `cid` once, in this order.
    let mut last_key: &[u8] = b"identifier";
    let signature = loop {
        let (key, value) = packet(&mut reader)?;
        match (key, last_key) {
            (b"cid", _) => {
                if caveats.len() == CAVEATS_MAX {
                    return Err(MacaroonError::TooManyCaveats);
                }
                caveats.push(CaveatBytes { content: value.to_vec(), verification_id: None });
            }
            (b"vid", b"cid") => {
                if let Some(caveat) = caveats.last_mut() {
                    caveat.verification_id = Some(value.to_vec());
                }
            }
            (b"cl", b"vid") => {}
            (b"signature", _) => break value,
            _ => return Err(MacaroonError::FieldOrder),
        }
        last_key = key;
    };
    if !reader.rest.is_empty() {
        return Err(MacaroonError::TrailingBytes);
    }
    Ok(Macaroon {
        location: location.to_vec(),
        identifier: identifier.to_vec(),
        caveats,
        signature: signature.try_into().map_err(|_| MacaroonError::SignatureLength)?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> TokenKey {
        TokenKey::from_bytes(std::array::from_fn(|index| index as u8))
    }

    fn sample() -> Macaroon {
        Macaroon::issue(&key(), "pypi.org", "id", &["[0,50,10]".into(), r#"[1,["a"]]"#.into()])
    }

    /// Writes what pymacaroons writes as v1, so that reading is tested against bytes that this module does not make.
    fn v1(packets: &[(&str, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        for (key, value) in packets {
            out.extend(format!("{:04x}{key} ", 4 + key.len() + 1 + value.len() + 1).as_bytes());
            out.extend(*value);
            out.push(b'\n');
        }
        out
    }

    #[test]
    fn the_chain_without_caveats_is_pymacaroons() {
        let macaroon = Macaroon::issue(&key(), "pypi.org", "5f2f8a2e-4b0a-4f7e-9f5b-0d6a3f0c9e11", &[]);
        let expected = [
            0x7a, 0xbf, 0x21, 0x97, 0x0b, 0x37, 0x53, 0xe7, 0x0c, 0x11, 0xfc, 0xa9, 0x12, 0x07, 0x80, 0x5f,
            0xd6, 0x58, 0xee, 0xc0, 0xfe, 0xfa, 0x1c, 0x7a, 0xa1, 0xd6, 0x2c, 0x18, 0x49, 0x79, 0x39, 0xe3,
        ];
        assert_eq!(macaroon.signature, expected);
    }

    #[test]
    fn v2_bytes_are_read_as_they_were_written() {
        let macaroon = sample();
        assert_eq!(Macaroon::parse(&macaroon.to_bytes()), Ok(macaroon));
    }

    #[test]
    fn v1_packets_are_the_same_macaroon() {
        let macaroon = sample();
        let bytes = v1(&[
            ("location", b"pypi.org"),
            ("identifier", b"id"),
            ("cid", b"[0,50,10]"),
            ("cid", br#"[1,["a"]]"#),
            ("signature", &macaroon.signature),
        ]);
        let read = Macaroon::parse(&bytes).unwrap();
        assert_eq!(read, macaroon);
        assert!(read.chain_holds(&key()));
    }

    #[test]
    fn v1_packets_out_of_order_or_cut_are_refused() {
        let signature = [1u8; 32];
        let whole = v1(&[("location", b"x"), ("identifier", b"id"), ("signature", &signature)]);
        assert!(Macaroon::parse(&whole).is_ok());
        for length in 0..whole.len() {
            assert!(Macaroon::parse(&whole[..length]).is_err(), "cut at {length}");
        }
        for (packets, error) in [
            (&[("identifier", &b"id"[..]), ("signature", &signature)][..], MacaroonError::FieldOrder),
            (&[("location", b"x"), ("cid", b"c"), ("signature", &signature)], MacaroonError::FieldOrder),
            (&[("location", b"x"), ("identifier", b"id"), ("vid", b"v")], MacaroonError::FieldOrder),
            (
                &[("location", b"x"), ("identifier", b"id"), ("cid", b"c"), ("cl", b"l")],
                MacaroonError::FieldOrder,
            ),
            (&[("location", b"x"), ("identifier", b"id"), ("other", b"v")], MacaroonError::FieldOrder),
            (
                &[("location", b"x"), ("identifier", b"id"), ("signature", &signature[..31])],
                MacaroonError::SignatureLength,
            ),
            (
                &[("location", b"x"), ("identifier", b"id"), ("signature", &signature), ("cid", b"c")],
                MacaroonError::TrailingBytes,
            ),
        ] {
            assert_eq!(Macaroon::parse(&v1(packets)), Err(error), "{packets:?}");
        }
        assert_eq!(Macaroon::parse(b"0003"), Err(MacaroonError::FieldOrder));
        assert_eq!(Macaroon::parse(b"00zz"), Err(MacaroonError::FieldOrder));
        assert_eq!(Macaroon::parse(b"000fnoSpaceHere\n"), Err(MacaroonError::FieldOrder));
    }

    #[test]
    fn every_cut_of_v2_is_refused() {
        let bytes = sample().to_bytes();
        for length in 0..bytes.len() {
            assert!(Macaroon::parse(&bytes[..length]).is_err(), "cut at {length}");
        }
    }

    #[test]
    fn v2_fields_stand_in_their_order_or_not_at_all() {
        let signed = |body: &[u8]| {
            let mut bytes = body.to_vec();
            bytes.extend([0, 6, 32]);
            bytes.extend([7u8; 32]);
            bytes
        };
        // Without a location, which is only a hint.
        assert!(Macaroon::parse(&signed(&[2, 2, 1, b'i', 0])).is_ok());
        for (bytes, error) in [
            (signed(&[2, 2, 1, b'i', 1, 1, b'l', 0]), MacaroonError::FieldOrder),
            (signed(&[2, 2, 1, b'i', 2, 1, b'i', 0]), MacaroonError::FieldOrder),
            (signed(&[2, 1, 1, b'l', 0]), MacaroonError::FieldOrder),
            (signed(&[2, 0]), MacaroonError::FieldOrder),
            (signed(&[2, 2, 1, b'i', 3, 1, b'x', 0]), MacaroonError::FieldOrder),
            // A first-party caveat with a location.
            (signed(&[2, 2, 1, b'i', 0, 1, 1, b'l', 2, 1, b'c', 0]), MacaroonError::FieldOrder),
            (vec![2, 2, 1, b'i', 0, 0, 5, 1, 1], MacaroonError::FieldOrder),
            (vec![2, 2, 1, b'i', 0, 0, 6, 1, 1], MacaroonError::SignatureLength),
            ([signed(&[2, 2, 1, b'i', 0]), vec![0]].concat(), MacaroonError::TrailingBytes),
            (vec![], MacaroonError::UnknownFormat),
            (vec![3, 2, 1, b'i'], MacaroonError::UnknownFormat),
            (b"{\"v\":2}".to_vec(), MacaroonError::UnknownFormat),
            (vec![2, 2, 0xff, 0xff, 0xff, 0xff, 0xff, 1], MacaroonError::FieldTooLong),
        ] {
            assert_eq!(Macaroon::parse(&bytes), Err(error), "{bytes:?}");
        }
    }

    #[test]
    fn a_field_may_have_64_kibibytes_and_no_more() {
        let with_identifier =
            |length: usize| Macaroon::issue(&key(), "x", &"i".repeat(length), &[]).to_bytes();
        assert!(Macaroon::parse(&with_identifier(FIELD_BYTES_MAX)).is_ok());
        assert_eq!(Macaroon::parse(&with_identifier(FIELD_BYTES_MAX + 1)), Err(MacaroonError::FieldTooLong));
    }

    #[test]
    fn a_macaroon_may_have_256_caveats_and_no_more_in_both_formats() {
        let caveats = |count: usize| vec!["[]".to_owned(); count];
        let v2 = |count: usize| Macaroon::issue(&key(), "x", "i", &caveats(count)).to_bytes();
        assert!(Macaroon::parse(&v2(CAVEATS_MAX)).is_ok());
        assert_eq!(Macaroon::parse(&v2(CAVEATS_MAX + 1)), Err(MacaroonError::TooManyCaveats));

        let text = |count: usize| {
            let mut packets: Vec<(&str, &[u8])> = vec![("location", b"x"), ("identifier", b"i")];
            packets.extend(std::iter::repeat_n(("cid", &b"[]"[..]), count));
            packets.push(("signature", &[7u8; 32]));
            v1(&packets)
        };
        assert!(Macaroon::parse(&text(CAVEATS_MAX)).is_ok());
        assert_eq!(Macaroon::parse(&text(CAVEATS_MAX + 1)), Err(MacaroonError::TooManyCaveats));
    }

    #[test]
    fn a_third_party_caveat_is_read_and_counts_in_the_chain() {
        let mut macaroon = sample();
        macaroon.caveats.push(CaveatBytes { content: b"c".to_vec(), verification_id: Some(b"v".to_vec()) });
        assert!(!macaroon.chain_holds(&key()));
        macaroon.signature = macaroon.chain(&key());
        let read = Macaroon::parse(&macaroon.to_bytes()).unwrap();
        assert_eq!(read, macaroon);
        assert!(read.chain_holds(&key()));
    }

    #[test]
    fn a_caveat_cut_changed_or_moved_breaks_the_chain() {
        let whole = sample();
        assert!(whole.chain_holds(&key()));

        let mut cut = whole.clone();
        cut.caveats.pop();
        assert!(!cut.chain_holds(&key()));
        let mut changed = whole.clone();
        changed.caveats[0].content = b"[0,51,10]".to_vec();
        assert!(!changed.chain_holds(&key()));
        let mut moved = whole.clone();
        moved.caveats.swap(0, 1);
        assert!(!moved.chain_holds(&key()));
        let mut other_identifier = whole.clone();
        other_identifier.identifier = b"di".to_vec();
        assert!(!other_identifier.chain_holds(&key()));
        assert!(!whole.chain_holds(&TokenKey::from_bytes([0; 32])));
    }

    proptest! {
        #[test]
        fn parsing_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Macaroon::parse(&bytes);
            let _ = Macaroon::parse(&[&[V2_VERSION][..], &bytes].concat());
            let _ = Macaroon::parse(&[&b"00"[..], &bytes].concat());
        }

        #[test]
        fn what_was_written_is_read(
            location in "[a-z.]{0,20}", identifier in "[a-z0-9-]{0,40}",
            caveats in proptest::collection::vec(".{0,300}", 0..8)
        ) {
            let macaroon = Macaroon::issue(&key(), &location, &identifier, &caveats);
            prop_assert!(macaroon.chain_holds(&key()));
            prop_assert_eq!(Macaroon::parse(&macaroon.to_bytes()), Ok(macaroon));
        }

        #[test]
        fn a_flipped_bit_anywhere_is_no_valid_macaroon(at in 0usize..2000, bit in 0u8..8) {
            let whole = sample();
            let mut bytes = whole.to_bytes();
            // The location is a hint that the signature does not cover; skip it and its length.
            let first = 3 + whole.location.len();
            let index = first + at % (bytes.len() - first);
            bytes[index] ^= 1 << bit;
            let holds = Macaroon::parse(&bytes).is_ok_and(|changed| changed.chain_holds(&key()));
            prop_assert!(!holds);
        }
    }
}
