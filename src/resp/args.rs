//! Arguments: a batch of requests, the view of one that commands take, a copy that outlives the query buffer, and
//! the way back to bytes. Finding them is left to `request`.

use std::fmt;

use super::reply::push_header;

/// A cleared batch keeps at most this much of either buffer.
const SPANS_KEPT_MAX: usize = 4 * 1024;
const INLINE_BYTES_KEPT_MAX: usize = 64 * 1024;

/// Where an argument is, relative to the start of the bytes it is a span of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Offset of the first byte.
    pub start: usize,
    /// Length in bytes.
    pub len: usize,
}

/// One complete request of a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) first: usize, // index into the batch's spans
    pub(super) argc: usize,
    pub(super) end: usize,
    pub(super) inline: bool,
    pub(super) follows_empty: bool,
}

/// The requests found by one call of `RequestParser::parse`. Made once and used again, so that its buffers live on.
#[derive(Debug, Default)]
pub struct Batch {
    pub(super) spans: Vec<Span>,
    pub(super) requests: Vec<Request>,
    pub(super) inline: Vec<u8>,
    /// A request without arguments came after the last one.
    pub(super) ends_empty: bool,
}

impl Batch {
    /// An empty batch, without memory.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many requests there are.
    pub fn len(&self) -> usize {
        self.requests.len()
    }

    /// Whether there is no request.
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// The arguments of request `index`; `buffer` is what was parsed. Panics if there is no such request.
    #[inline]
    pub fn args<'a>(&'a self, index: usize, buffer: &'a [u8]) -> Args<'a> {
        let request = self.requests[index];
        let spans = &self.spans[request.first..request.first + request.argc];
        Args { bytes: if request.inline { &self.inline } else { buffer }, spans }
    }

    pub(super) fn push(&mut self, first: usize, argc: usize, end: usize, inline: bool) {
        let follows_empty = std::mem::take(&mut self.ends_empty);
        self.requests.push(Request { first, argc, end, inline, follows_empty });
    }

    /// Adds a copy of a request: its bytes go to the end of `buffer`, which holds those of all requests of the batch.
    /// O(length of the request).
    pub fn keep(&mut self, args: &Args<'_>, buffer: &mut Vec<u8>) {
        let first = self.spans.len();
        for argument in args.iter() {
            self.spans.push(Span { start: buffer.len(), len: argument.len() });
            buffer.extend_from_slice(argument);
        }
        self.push(first, args.len(), buffer.len(), false);
    }

    /// Bytes that its requests take here, beside those of their arguments.
    pub fn used_bytes(&self) -> usize {
        self.spans.len() * size_of::<Span>() + self.requests.len() * size_of::<Request>()
    }

    /// Whether requests without arguments came before request `index`; with the number of requests: after the last one.
    #[inline]
    pub fn follows_empty(&self, index: usize) -> bool {
        self.requests.get(index).map_or(self.ends_empty, |request| request.follows_empty)
    }

    /// Offset in the buffer just after request `index`. Panics if there is no such request.
    pub fn end(&self, index: usize) -> usize {
        self.requests[index].end
    }

    /// Request `index` as it came, if it can be passed on like that: not if it was a line of words, if requests without
    /// arguments came before it, or if an argument does not end in CRLF. `start` is the end of the request before it.
    #[inline]
    pub fn wire_bytes<'a>(&self, index: usize, start: usize, buffer: &'a [u8]) -> Option<&'a [u8]> {
        let request = self.requests[index];
        let spans = &self.spans[request.first..request.first + request.argc];
        let ends_well = |span: &Span| {
            buffer.get(span.start + span.len..span.start + span.len + 2) == Some(b"\r\n")
        };
        let as_is = !request.inline && !request.follows_empty && spans.iter().all(ends_well);
        as_is.then(|| &buffer[start..request.end])
    }

    /// Forgets the requests and keeps the memory, except what only an unusual batch needs.
    pub fn clear(&mut self) {
        self.requests.clear();
        self.spans.clear();
        self.inline.clear();
        self.ends_empty = false;
        if self.spans.capacity() > SPANS_KEPT_MAX {
            self.spans.shrink_to(SPANS_KEPT_MAX);
        }
        if self.requests.capacity() > SPANS_KEPT_MAX {
            self.requests.shrink_to(SPANS_KEPT_MAX);
        }
        if self.inline.capacity() > INLINE_BYTES_KEPT_MAX {
            self.inline.shrink_to(INLINE_BYTES_KEPT_MAX);
        }
    }
}

/// The arguments of one request, the command's name first. Never empty when it comes from a batch.
#[derive(Clone, Copy)]
pub struct Args<'a> {
    bytes: &'a [u8],
    spans: &'a [Span],
}

impl<'a> Args<'a> {
    /// Number of arguments; the command's name counts.
    #[inline]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Argument `index`. Panics if there is none: the arity was checked.
    #[inline]
    pub fn bytes(&self, index: usize) -> &'a [u8] {
        let span = self.spans[index];
        &self.bytes[span.start..span.start + span.len]
    }

    /// Argument `index`, which is the name of a key. Panics if there is none: the arity was checked.
    #[inline]
    pub fn key(&self, index: usize) -> &'a [u8] {
        self.bytes(index)
    }

    /// Argument `index`, if there are that many.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&'a [u8]> {
        (index < self.len()).then(|| self.bytes(index))
    }

    /// The arguments from `from` on; none if there are fewer.
    #[inline]
    pub fn tail(&self, from: usize) -> Args<'a> {
        Args { bytes: self.bytes, spans: self.spans.get(from..).unwrap_or_default() }
    }

    /// The arguments before `to`; all if there are fewer.
    pub fn head(&self, to: usize) -> Args<'a> {
        Args { bytes: self.bytes, spans: self.spans.get(..to).unwrap_or(self.spans) }
    }

    /// The arguments from `from` on, two by two; `None` if one is left over.
    pub fn pairs(&self, from: usize) -> Option<Vec<(&'a [u8], &'a [u8])>> {
        let words: Vec<&[u8]> = self.tail(from).iter().collect();
        let (pairs, rest) = words.as_chunks::<2>();
        rest.is_empty().then(|| pairs.iter().map(|&[name, value]| (name, value)).collect())
    }

    /// All arguments in order.
    #[inline]
    pub fn iter(
        &self,
    ) -> impl ExactSizeIterator<Item = &'a [u8]> + DoubleEndedIterator + Clone + use<'a> {
        let bytes = self.bytes;
        self.spans.iter().map(move |span| &bytes[span.start..span.start + span.len])
    }

    /// A copy that outlives the query buffer: for MULTI's queue and for blocked clients.
    pub fn to_owned(&self) -> OwnedArgs {
        self.iter().collect()
    }
}

impl fmt::Debug for Args<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.iter().map(|argument| argument.escape_ascii().to_string()))
            .finish()
    }
}

/// Arguments with their own bytes, in two blocks however many there are.
#[derive(Clone, Debug, Default)]
pub struct OwnedArgs {
    bytes: Vec<u8>,
    spans: Vec<Span>,
}

impl OwnedArgs {
    /// The view that commands take.
    pub fn args(&self) -> Args<'_> {
        Args { bytes: &self.bytes, spans: &self.spans }
    }

    /// Adds one argument at the end.
    pub fn push(&mut self, argument: &[u8]) {
        self.spans.push(Span { start: self.bytes.len(), len: argument.len() });
        self.bytes.extend_from_slice(argument);
    }

    /// Bytes held.
    pub fn memory_bytes(&self) -> usize {
        self.bytes.capacity() + self.spans.capacity() * size_of::<Span>()
    }
}

impl<'a> FromIterator<&'a [u8]> for OwnedArgs {
    fn from_iter<I: IntoIterator<Item = &'a [u8]>>(arguments: I) -> Self {
        let mut owned = Self::default();
        arguments.into_iter().for_each(|argument| owned.push(argument));
        owned
    }
}

/// Appends a request as RESP: `*2 $3 GET $1 k`. The form in which clients, the AOF and replicas get commands.
pub fn write_request<'a>(out: &mut Vec<u8>, arguments: impl ExactSizeIterator<Item = &'a [u8]>) {
    push_header(out, b'*', arguments.len());
    arguments.for_each(|argument| write_argument(out, argument));
}

/// Appends the head of a request with so many arguments, of which `name` is the first. The others follow.
pub fn write_request_head(out: &mut Vec<u8>, argc: usize, name: &[u8]) {
    push_header(out, b'*', argc);
    write_argument(out, name);
}

/// Appends one argument of a request.
#[inline]
pub fn write_argument(out: &mut Vec<u8>, argument: &[u8]) {
    push_header(out, b'$', argument.len());
    out.extend_from_slice(argument);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_views_and_copies() {
        let owned: OwnedArgs = [b"SET".as_slice(), b"key", b""].into_iter().collect();
        let args = owned.args();
        assert_eq!(
            (args.len(), args.bytes(0), args.key(1), args.get(2), args.get(3)),
            (3, &b"SET"[..], &b"key"[..], Some(&b""[..]), None)
        );
        assert_eq!(args.tail(1).iter().collect::<Vec<_>>(), [&b"key"[..], b""]);
        assert!(args.tail(3).is_empty() && args.tail(9).is_empty());
        assert_eq!(format!("{:?}", args.tail(1).to_owned().args()), r#"["key", ""]"#);
    }

    #[test]
    fn requests_are_kept_in_one_buffer() {
        let (mut batch, mut buffer) = (Batch::new(), Vec::new());
        for words in [&[b"SET".as_slice(), b"k", b"v"][..], &[b"PING"], &[b"GET", b""]] {
            let request: OwnedArgs = words.iter().copied().collect();
            batch.keep(&request.args(), &mut buffer);
        }
        assert_eq!((batch.len(), buffer.as_slice()), (3, &b"SETkvPINGGET"[..]));
        assert_eq!(batch.args(0, &buffer).iter().collect::<Vec<_>>(), [&b"SET"[..], b"k", b"v"]);
        assert_eq!(batch.args(1, &buffer).iter().collect::<Vec<_>>(), [b"PING"]);
        assert_eq!(batch.args(2, &buffer).iter().collect::<Vec<_>>(), [&b"GET"[..], b""]);
        assert!(batch.used_bytes() >= 6 * size_of::<Span>());
    }

    #[test]
    fn a_request_is_written_as_resp() {
        let mut out = b"before".to_vec();
        write_request(&mut out, [b"GET".as_slice(), b"a\r\nb", b""].into_iter());
        assert_eq!(out, b"before*3\r\n$3\r\nGET\r\n$4\r\na\r\nb\r\n$0\r\n\r\n");
    }
}
