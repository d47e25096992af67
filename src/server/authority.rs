//! Some versions of etcd's client name a whole URL, or a list of endpoints, where HTTP/2 wants the host of a request
//! (`:authority`); Go's server does not mind, and the one here would end the request before anybody saw it. Nothing here
//! asks for the host, so it is blanked out as the bytes come in.
//!
//! Blanking changes no length, so frames stay as they are. A blanked value is at most as long, once decoded, as the
//! one that was sent: a client's picture of the table of headers is a part of the server's, and indices agree.

/// What a connection begins with, before its first frame.
const PREFACE_BYTES: usize = 24;
const FRAME_HEAD_BYTES: usize = 9;

/// Frame types that carry headers.
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;

/// Flags of those frames.
const END_HEADERS: u8 = 0x04;
const PADDED: u8 = 0x08;
const PRIORITY: u8 = 0x20;
const PRIORITY_BYTES: usize = 5;

/// Where `:authority` stands in HPACK's table of well-known headers.
const AUTHORITY: u8 = 1;

/// The letter Z, as it is and in HPACK's Huffman code, where it takes a byte too.
const PLAIN: u8 = b'Z';
const HUFFMAN: u8 = 0xfd;

/// Reads along a connection and blanks out hosts.
pub(super) struct Blanking {
    at: At,
    head: [u8; FRAME_HEAD_BYTES],
    block: Block,
}

/// Where in the stream of frames it is; numbers are bytes that are left.
#[derive(Clone, Copy)]
enum At {
    /// Before something that is not looked at.
    Skip(usize),
    /// Before a frame, or within its head.
    Head(usize),
    /// Before the length of the padding; `left` of the frame with it.
    Padding { left: usize },
    /// Before what precedes the headers, then the headers, then padding.
    Headers { skip: usize, block: usize, padding: usize },
}

impl Blanking {
    pub(super) fn new() -> Blanking {
        let head = [0; FRAME_HEAD_BYTES];
        Blanking { at: At::Skip(PREFACE_BYTES), head, block: Block::Start }
    }

    /// Blanks out hosts in the bytes that came next.
    pub(super) fn pass(&mut self, mut bytes: &mut [u8]) {
        while !bytes.is_empty() {
            let passed = match self.at {
                At::Skip(left) => self.skip(left, bytes.len()),
                At::Head(FRAME_HEAD_BYTES) if bytes.len() >= FRAME_HEAD_BYTES => self.head(bytes),
                _ => {
                    self.step(&mut bytes[0]);
                    1
                }
            };
            bytes = &mut bytes[passed..];
        }
    }

    /// Passes what is not looked at, of which `left` bytes are left and `here` are there.
    fn skip(&mut self, left: usize, here: usize) -> usize {
        self.at = if left <= here { At::Head(FRAME_HEAD_BYTES) } else { At::Skip(left - here) };
        left.min(here)
    }

    /// Takes a frame's head that is there as a whole, as nearly always.
    fn head(&mut self, bytes: &[u8]) -> usize {
        self.head.copy_from_slice(&bytes[..FRAME_HEAD_BYTES]);
        self.at = self.payload();
        FRAME_HEAD_BYTES
    }

    fn step(&mut self, byte: &mut u8) {
        self.at = match self.at {
            At::Skip(left) => At::Skip(left),
            At::Head(left) => {
                self.head[FRAME_HEAD_BYTES - left] = *byte;
                if left > 1 { At::Head(left - 1) } else { self.payload() }
            }
            At::Padding { left } => self.headers(left - 1, usize::from(*byte)),
            At::Headers { skip: 0, block, padding } => {
                self.block = self.block.step(byte);
                self.after(block - 1, padding)
            }
            At::Headers { skip: 1, block, padding } => self.after(block, padding),
            At::Headers { skip, block, padding } => At::Headers { skip: skip - 1, block, padding },
        };
    }

    fn flags(&self) -> u8 {
        self.head[4]
    }

    /// What the frame whose head was read has behind it.
    fn payload(&mut self) -> At {
        let [high, middle, low, kind, ..] = self.head;
        let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        match kind {
            HEADERS if self.flags() & PADDED != 0 && length > 0 => At::Padding { left: length },
            HEADERS => self.headers(length, 0),
            CONTINUATION => self.after(length, 0),
            _ => At::Skip(length),
        }
    }

    /// A frame of headers of which `left` bytes are left, the last of them padding. One that lies about its lengths is
    /// the library's to refuse.
    fn headers(&mut self, left: usize, padding: usize) -> At {
        let skip = if self.flags() & PRIORITY != 0 { PRIORITY_BYTES } else { 0 };
        match left.checked_sub(skip + padding) {
            Some(block) if skip > 0 => At::Headers { skip, block, padding },
            Some(block) => self.after(block, padding),
            None => At::Skip(left),
        }
    }

    /// Goes on with `block` bytes of headers.
    fn after(&mut self, block: usize, padding: usize) -> At {
        if block > 0 {
            return At::Headers { skip: 0, block, padding };
        }
        if self.flags() & END_HEADERS != 0 {
            self.block = Block::Start;
        }
        At::Skip(padding)
    }
}

/// Where in a block of headers it is (RFC 7541, section 6). What a header says is not decoded, only how long it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Block {
    /// Before a header.
    Start,
    /// Within a number that goes on; then a value if the header has one here.
    Number { has_value: bool },
    /// Before the length of a name or value.
    Length(Text),
    /// Within such a length.
    LongLength { of: Text, huffman: bool, length: usize, shift: u32 },
    /// Within a name or value.
    Text { of: Text, huffman: bool, left: usize },
}

/// What a text is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Text {
    Name,
    Value,
    /// A value that is blanked out.
    Host,
}

impl Block {
    /// Where it is after `byte`.
    fn step(self, byte: &mut u8) -> Block {
        match self {
            Block::Start => start(*byte),
            Block::Number { .. } if *byte & 0x80 != 0 => self,
            Block::Number { has_value: true } => Block::Length(Text::Value),
            Block::Number { has_value: false } => Block::Start,
            Block::Length(of) => match (*byte & 0x80 != 0, usize::from(*byte & 0x7f)) {
                (huffman, length @ 0x7f) => Block::LongLength { of, huffman, length, shift: 0 },
                (huffman, left) => text(of, huffman, left),
            },
            Block::LongLength { of, huffman, length, shift } => {
                let more = usize::from(*byte & 0x7f).checked_shl(shift).unwrap_or(0);
                let length = length.saturating_add(more);
                match *byte & 0x80 {
                    0 => text(of, huffman, length),
                    _ => Block::LongLength { of, huffman, length, shift: shift.saturating_add(7) },
                }
            }
            Block::Text { of, huffman, left } => {
                if of == Text::Host {
                    *byte = if huffman { HUFFMAN } else { PLAIN };
                }
                text(of, huffman, left - 1)
            }
        }
    }
}

/// A header's first byte: a place in the table, a literal with or without a name from there, or the table's size.
fn start(byte: u8) -> Block {
    let (prefix, is_literal) = match byte {
        0x80.. => (0x7f, false),
        0x40.. => (0x3f, true),
        0x20.. => (0x1f, false),
        _ => (0x0f, true),
    };
    match (byte & prefix, is_literal) {
        (number, has_value) if number == prefix => Block::Number { has_value },
        (_, false) => Block::Start,
        (0, true) => Block::Length(Text::Name),
        (AUTHORITY, true) => Block::Length(Text::Host),
        (_, true) => Block::Length(Text::Value),
    }
}

/// A text of which `left` bytes are left, or what follows it.
fn text(of: Text, huffman: bool, left: usize) -> Block {
    match (of, left) {
        (Text::Name, 0) => Block::Length(Text::Value),
        (_, 0) => Block::Start,
        _ => Block::Text { of, huffman, left },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u8::try_from(payload.len()).unwrap();
        [&[0, 0, length, kind, flags, 0, 0, 0, 1], payload].concat()
    }

    /// A method, a host in clear, a header with a name of its own, a host in Huffman code, a number that goes on.
    const BEFORE: &[u8] =
        b"\x83\x41\x0ahttp://a:1\x00\x01n\x02vv\x41\x82\xab\xcd\xff\x80\x01\x0f\x02\x01z";
    const AFTER: &[u8] =
        b"\x83\x41\x0aZZZZZZZZZZ\x00\x01n\x02vv\x41\x82\xfd\xfd\xff\x80\x01\x0f\x02\x01z";

    /// A connection with headers in every way a frame can carry them.
    fn connection(block: &[u8]) -> Vec<u8> {
        let padded = [&[3, 0, 0, 0, 0, 0][..], block, &[0x41, 0x01, 0x61]].concat();
        [
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
            frame(4, 0, &[]),
            frame(HEADERS, END_HEADERS, block),
            frame(0, 1, b"\x41\x03abc"),
            frame(HEADERS, END_HEADERS | PADDED | PRIORITY, &padded),
            frame(HEADERS, 0, &block[..7]),
            frame(CONTINUATION, END_HEADERS, &block[7..]),
            frame(HEADERS, END_HEADERS, block),
        ]
        .concat()
    }

    #[test]
    fn hosts_are_blanked_out_and_nothing_else_however_the_bytes_come() {
        for piece in [1, 2, 3, 7, 1000] {
            let mut bytes = connection(BEFORE);
            let mut blanking = Blanking::new();
            bytes.chunks_mut(piece).for_each(|piece| blanking.pass(piece));
            assert!(bytes == connection(AFTER), "in pieces of {piece}");
        }
    }

    #[test]
    fn lies_about_lengths_do_no_harm() {
        for payload in
            [&[200u8][..], &[0, 1], &[0x41, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]]
        {
            let mut bytes = [vec![0; PREFACE_BYTES], frame(HEADERS, 0xff, payload)].concat();
            bytes.extend(frame(HEADERS, END_HEADERS, payload));
            Blanking::new().pass(&mut bytes);
        }
    }
}
