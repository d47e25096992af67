//! The values of EDN, <https://github.com/edn-format/edn>, as far as a history needs them. Whatever it does not need is
//! read over.

/// Deepest nesting. Jepsen's own records have about six.
const DEPTH_MAX: usize = 32;
/// Most values within one operation.
const VALUES_MAX: usize = 10_000;

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Edn<'a> {
    Nil,
    Int(i128),
    /// Without its colon.
    Keyword(&'a str),
    Vector(Vec<Edn<'a>>),
    Map(Vec<(Edn<'a>, Edn<'a>)>),
    /// A string, number with a fraction, list, set and what else there is.
    Other,
}

impl<'a> Edn<'a> {
    /// The value of a map under this keyword.
    pub(super) fn get(&self, keyword: &str) -> Option<&Edn<'a>> {
        let Edn::Map(pairs) = self else { return None };
        let found = pairs.iter().find(|(key, _)| *key == Edn::Keyword(keyword));
        found.map(|(_, value)| value)
    }

    /// The number, if it is one that a u64 can hold.
    pub(super) fn number(&self) -> Option<u64> {
        let Edn::Int(number) = self else { return None };
        u64::try_from(*number).ok()
    }
}

/// What was expected at a place of the text, and is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unexpected {
    /// Offset into the text, bytes.
    pub(super) at: usize,
    pub(super) expected: &'static str,
}

/// Reads value after value.
pub(super) struct Reader<'a> {
    text: &'a str,
    /// Offset of what comes next, bytes.
    at: usize,
    /// Values that the operation may still have.
    left: usize,
}

impl<'a> Reader<'a> {
    /// Reads `text` from this offset on.
    pub(super) fn new(text: &'a str, at: usize) -> Reader<'a> {
        Reader { text, at, left: VALUES_MAX }
    }

    /// The next byte that is no blank, without taking it, and its offset. None at the end.
    pub(super) fn peek(&mut self) -> Result<Option<(u8, usize)>, Unexpected> {
        self.skip_blank(0)?;
        Ok(self.byte().map(|byte| (byte, self.at)))
    }

    /// Takes one byte that was peeked at and is ASCII.
    pub(super) fn take(&mut self) {
        self.at += 1;
    }

    /// The next value, with a fresh allowance of values.
    pub(super) fn value(&mut self) -> Result<Edn<'a>, Unexpected> {
        self.left = VALUES_MAX;
        self.value_at(0)
    }

    fn value_at(&mut self, depth: usize) -> Result<Edn<'a>, Unexpected> {
        self.skip_blank(depth)?;
        self.left =
            self.left.checked_sub(1).ok_or_else(|| self.no("fewer values in one operation"))?;
        let Some(byte) = self.byte() else { return Err(self.no("a value")) };
        match byte {
            b'"' => self.string(),
            b'[' => Ok(Edn::Vector(self.until(b']', depth)?)),
            b'(' => self.until(b')', depth).map(|_| Edn::Other),
            b'{' => self.map(depth),
            b'#' => self.dispatched(depth),
            b'\\' => Ok(self.character()),
            b']' | b')' | b'}' => Err(self.no("a value")),
            _ => Ok(scalar(self.token())),
        }
    }

    /// Blanks, commas, comments, and values after `#_`.
    fn skip_blank(&mut self, depth: usize) -> Result<(), Unexpected> {
        loop {
            let rest = &self.text[self.at..];
            let inner = rest.trim_start_matches(is_blank);
            self.at += rest.len() - inner.len();
            if inner.starts_with(';') {
                self.at += inner.find('\n').unwrap_or(inner.len());
            } else if inner.starts_with("#_") {
                self.at += 2;
                self.deeper(depth)?;
                self.value_at(depth + 1)?;
            } else {
                return Ok(());
            }
        }
    }

    /// The values up to `close`; the opening byte is next.
    fn until(&mut self, close: u8, depth: usize) -> Result<Vec<Edn<'a>>, Unexpected> {
        self.deeper(depth)?;
        self.take();
        let mut values = Vec::new();
        loop {
            self.skip_blank(depth)?;
            if self.byte() == Some(close) {
                self.take();
                return Ok(values);
            }
            values.push(self.value_at(depth + 1)?);
        }
    }

    fn map(&mut self, depth: usize) -> Result<Edn<'a>, Unexpected> {
        let at = self.at;
        let mut values = self.until(b'}', depth)?.into_iter();
        let mut pairs = Vec::with_capacity(values.len() / 2);
        while let Some(key) = values.next() {
            let value = values.next();
            let expected = "a value for each key of the map";
            pairs.push((key, value.ok_or(Unexpected { at, expected })?));
        }
        Ok(Edn::Map(pairs))
    }

    /// What begins with `#`: a set, `##Inf`, or a tag, of which only the value counts.
    fn dispatched(&mut self, depth: usize) -> Result<Edn<'a>, Unexpected> {
        self.take();
        match self.byte() {
            Some(b'{') => self.until(b'}', depth).map(|_| Edn::Other),
            Some(b'"') => self.string(),
            Some(b'#') => {
                self.token();
                Ok(Edn::Other)
            }
            _ => {
                self.token();
                self.deeper(depth)?;
                self.value_at(depth + 1)
            }
        }
    }

    fn string(&mut self) -> Result<Edn<'a>, Unexpected> {
        let begin = self.at;
        let mut escaped = false;
        for (offset, byte) in self.text.as_bytes()[begin + 1..].iter().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => {
                    self.at = begin + offset + 2;
                    return Ok(Edn::Other);
                }
                _ => {}
            }
        }
        Err(Unexpected { at: begin, expected: "a string that ends" })
    }

    /// `\a`, `\newline`; the first letter may be one that ends other tokens.
    fn character(&mut self) -> Edn<'a> {
        self.take();
        self.at += self.text[self.at..].chars().next().map_or(0, char::len_utf8);
        self.token();
        Edn::Other
    }

    /// Whatever stands before the next blank or bracket.
    fn token(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        let ends =
            |c: char| is_blank(c) || matches!(c, '[' | ']' | '(' | ')' | '{' | '}' | '"' | ';');
        let token = &rest[..rest.find(ends).unwrap_or(rest.len())];
        self.at += token.len();
        token
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn deeper(&self, depth: usize) -> Result<(), Unexpected> {
        if depth >= DEPTH_MAX { Err(self.no("less deep nesting")) } else { Ok(()) }
    }

    fn no(&self, expected: &'static str) -> Unexpected {
        Unexpected { at: self.at, expected }
    }
}

fn is_blank(c: char) -> bool {
    c.is_whitespace() || c == ','
}

fn scalar(token: &str) -> Edn<'_> {
    if let Some(keyword) = token.strip_prefix(':') {
        return Edn::Keyword(keyword);
    }
    let digits = token.strip_suffix('N').unwrap_or(token);
    match digits.parse() {
        Ok(number) => Edn::Int(number),
        Err(_) if token == "nil" => Edn::Nil,
        Err(_) => Edn::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Edn<'_>, Unexpected> {
        Reader::new(text, 0).value()
    }

    #[test]
    fn values_that_a_history_needs() {
        assert_eq!(read(" nil"), Ok(Edn::Nil));
        assert_eq!(read("-3"), Ok(Edn::Int(-3)));
        assert_eq!(read("18446744073709551615N").unwrap().number(), Some(u64::MAX));
        assert_eq!(read("-1").unwrap().number(), None);
        assert_eq!(read("[1, [nil] :a/b]"), {
            let inner = Edn::Vector(vec![Edn::Nil]);
            Ok(Edn::Vector(vec![Edn::Int(1), inner, Edn::Keyword("a/b")]))
        });
        let map = read("#jepsen.history.Op{:index 4, :value #{1 2}}").unwrap();
        assert_eq!((map.get("index"), map.get("time")), (Some(&Edn::Int(4)), None));
    }

    #[test]
    fn everything_else_is_read_over() {
        let others = [
            r#""a \" ] string""#,
            "1.5",
            "true",
            r"\]",
            r"\newline",
            "(1 (2))",
            "##Inf",
            "#{}",
            "#\"re[\"",
            "sym/bol",
            "#inst \"2020\"",
        ];
        for other in others {
            let text = format!("[{other} #_ ignored #_[1 #_2] 7 ; comment ]\n]");
            assert_eq!(read(&text), Ok(Edn::Vector(vec![Edn::Other, Edn::Int(7)])), "{text}");
        }
    }

    #[test]
    fn limits_hold() {
        assert!(read(&("[".repeat(32) + &"]".repeat(32))).is_ok());
        for open in ["[", "(", "{", "#{", "#a ", "#_ ", "#_[", "#a {"] {
            let deep = read(&open.repeat(1_000_000)).unwrap_err();
            assert_eq!(deep.expected, "less deep nesting", "{open}");
        }
        let many = format!("[{}]", "1 ".repeat(VALUES_MAX));
        assert_eq!(read(&many).unwrap_err().expected, "fewer values in one operation");
    }

    #[test]
    fn what_is_cut_short() {
        for text in
            ["", "[", "[1", "{:a", "\"abc", "\"abc\\", "#", "#_", "#_ 1", "(", "#{", "]", "}", "#a"]
        {
            assert!(read(text).is_err(), "{text}");
        }
        assert_eq!(read("{:a 1 :b}").unwrap_err().at, 0);
        assert_eq!(read("\\"), Ok(Edn::Other));
    }
}
