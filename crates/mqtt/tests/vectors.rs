//! The wire vectors of `tests/vectors`: each packet is decoded whole and byte by byte, and written back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use bytes::BytesMut;
use thingcore_mqtt::{Decoder, Malformed, Packet, Version, encode, encoded_len};

const LIMIT: u32 = 131_072;

/// Reads the notation of `tests/vectors/README.md`.
mod notation {
    pub fn bytes(text: &str) -> Vec<u8> {
        let tokens = tokens(text);
        let mut rest = tokens.as_slice();
        let bytes = group(&mut rest);
        assert!(rest.is_empty(), "a parenthesis too many");
        bytes
    }

    /// Words, where a quoted string is one word.
    fn tokens(text: &str) -> Vec<String> {
        let mut tokens = Vec::new();
        let mut rest = text.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = match first {
                '"' | '\'' => rest[1..].find(first).expect("a closing quote") + 2,
                _ => rest.find(' ').unwrap_or(rest.len()),
            };
            tokens.push(rest[..length].to_owned());
            rest = rest[length..].trim_start();
        }
        tokens
    }

    fn group(tokens: &mut &[String]) -> Vec<u8> {
        let mut bytes = Vec::new();
        while let Some((token, rest)) = tokens.split_first() {
            *tokens = rest;
            match token.as_str() {
                "@" => {
                    let body = group(tokens);
                    variable(body.len(), &mut bytes);
                    bytes.extend(body);
                }
                "(" => {
                    let section = group(tokens);
                    variable(section.len(), &mut bytes);
                    bytes.extend(section);
                }
                ")" => break,
                plain => self::plain(plain, &mut bytes),
            }
        }
        bytes
    }

    fn plain(token: &str, bytes: &mut Vec<u8>) {
        if let Some(text) = token.strip_prefix('"') {
            let text = text.trim_end_matches('"');
            bytes.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
            bytes.extend(text.bytes());
        } else if let Some(text) = token.strip_prefix('\'') {
            bytes.extend(text.trim_end_matches('\'').bytes());
        } else {
            let (byte, times) = token.split_once('x').unwrap_or((token, "1"));
            let byte = u8::from_str_radix(byte, 16).unwrap_or_else(|_| panic!("no byte: {token}"));
            bytes.extend(std::iter::repeat_n(byte, times.parse().unwrap()));
        }
    }

    fn variable(mut value: usize, bytes: &mut Vec<u8>) {
        while value > 0x7F {
            bytes.push((value & 0x7F) as u8 | 0x80);
            value >>= 7;
        }
        bytes.push(value as u8);
    }
}

struct Vector<'a> {
    line: &'a str,
    clause: &'a str,
    to: &'a str,
    bytes: Vec<u8>,
    verdict: &'a str,
    expected: &'a str,
}

fn parse(line: &str) -> Vector<'_> {
    let fields: Vec<&str> = line.split(" | ").map(str::trim).collect();
    let [clause, to, bytes, verdict, ..] = fields[..] else { panic!("four fields: {line}") };
    let (verdict, expected) = verdict.split_once(' ').unwrap_or((verdict, ""));
    Vector { line, clause, to, bytes: notation::bytes(bytes), verdict, expected }
}

impl Vector<'_> {
    /// A decoder in the state that the vector wants.
    fn decoder(&self) -> Decoder {
        match self.to {
            "4>client" => Decoder::for_client(Version::V311, LIMIT),
            "5>client" => Decoder::for_client(Version::V5, LIMIT),
            "4>server" | "5>server" if self.bytes[0] >> 4 != 1 => {
                let connect =
                    format!("10 @ \"MQTT\" 0{} 02 00 00 {} \"\"", &self.to[..1], self.no_properties());
                let mut decoder = Decoder::for_server(LIMIT);
                decoder.decode(&mut BytesMut::from(&notation::bytes(&connect)[..])).unwrap().unwrap();
                decoder
            }
            "4>server" | "5>server" | "new>server" => Decoder::for_server(LIMIT),
            other => panic!("{other}: {}", self.line),
        }
    }

    fn no_properties(&self) -> &'static str {
        if self.to.starts_with('5') { "( )" } else { "" }
    }

    fn whole(&self) -> Result<Option<Packet>, Malformed> {
        let mut buffer = BytesMut::from(&self.bytes[..]);
        let result = self.decoder().decode(&mut buffer);
        if matches!(result, Ok(Some(_))) {
            assert!(buffer.is_empty(), "bytes left over: {}", self.line);
        }
        result
    }

    fn byte_by_byte(&self) -> Result<Option<Packet>, Malformed> {
        let mut decoder = self.decoder();
        let mut buffer = BytesMut::new();
        for byte in &self.bytes {
            buffer.extend_from_slice(&[*byte]);
            let result = decoder.decode(&mut buffer);
            if !matches!(result, Ok(None)) {
                return result;
            }
        }
        Ok(None)
    }

    fn check_accepted(&self, packet: &Packet) {
        let debug = format!("{packet:?}");
        for piece in self.expected.split("; ") {
            assert!(debug.contains(piece), "{}\n  wanted {piece}\n  in {debug}", self.line);
        }
        let version = if self.to.starts_with('4') { Version::V311 } else { Version::V5 };
        let mut written = BytesMut::new();
        encode(packet, version, &mut written).unwrap();
        assert_eq!(written.len(), encoded_len(packet, version), "{}", self.line);
        if self.verdict == "accept" {
            assert_eq!(written, self.bytes, "{}", self.line);
        }
    }

    fn check_rejected(&self, malformed: &Malformed) {
        let fault = format!("{:?}", malformed.fault);
        assert!(fault.starts_with(self.expected), "{}\n  got {fault}", self.line);
        assert_eq!(malformed.clause, self.clause, "{}", self.line);
        let sentence = malformed.to_string();
        assert!(sentence.ends_with(&format!("[{}]", self.clause)), "{sentence}");
        assert!(!sentence.contains("the packet is malformed"), "no words for {fault}");
        assert!(malformed.reason_code().is_failure());
    }

    fn check(&self) {
        let whole = self.whole();
        assert_eq!(whole, self.byte_by_byte(), "whole and byte by byte differ: {}", self.line);
        match (self.verdict, &whole) {
            ("accept" | "accept~", Ok(Some(packet))) => self.check_accepted(packet),
            ("reject", Err(malformed)) => self.check_rejected(malformed),
            _ => panic!("{}\n  got {whole:?}", self.line),
        }
    }
}

fn run(file: &str) -> usize {
    let lines = file.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| parse(line).check()).count()
}

#[test]
fn connect() {
    assert!(run(include_str!("vectors/connect.txt")) > 60);
}

#[test]
fn connack() {
    assert!(run(include_str!("vectors/connack.txt")) > 30);
}

#[test]
fn publish() {
    assert!(run(include_str!("vectors/publish.txt")) > 50);
}

#[test]
fn acknowledgements() {
    assert!(run(include_str!("vectors/acknowledgements.txt")) > 30);
}

#[test]
fn subscribe() {
    assert!(run(include_str!("vectors/subscribe.txt")) > 50);
}

#[test]
fn farewell() {
    assert!(run(include_str!("vectors/farewell.txt")) > 40);
}
