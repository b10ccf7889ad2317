//! Requests whole and cut anywhere, and what is refused.

use super::super::args::write_request;
use super::super::line::STEPS;
use super::*;
use proptest::prelude::*;

type Requests = Vec<Vec<Vec<u8>>>;
type Expected<'a> = &'a [&'a [&'a [u8]]];
type Outcome = (Requests, Option<ProtocolError>, usize);

const UNAUTHENTICATED: Limits = Limits { bulk_len_max: BULK_LEN_MAX_DEFAULT, authenticated: false };

/// A connection as its owner runs it: what is not consumed stays at the front of the query buffer.
#[derive(Default)]
struct Connection {
    buffer: Vec<u8>,
    parser: RequestParser,
    batch: Batch,
    requests: Requests,
}

impl Connection {
    fn receive(
        &mut self,
        bytes: &[u8],
        requests_max: usize,
        limits: &Limits,
    ) -> Option<ProtocolError> {
        self.buffer.extend_from_slice(bytes);
        loop {
            let parsed = self.parser.parse(&self.buffer, requests_max, limits, &mut self.batch);
            for index in 0..self.batch.len() {
                let args = self.batch.args(index, &self.buffer);
                assert!(!args.is_empty() && self.batch.end(index) <= parsed.consumed);
                self.requests.push(args.iter().map(<[u8]>::to_vec).collect());
            }
            self.buffer.drain(..parsed.consumed);
            if parsed.error.is_some() || self.batch.len() < requests_max {
                return parsed.error;
            }
        }
    }
}

/// What was read of `pieces`: the requests, the error, and how many bytes are left.
fn feed<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, limits: &Limits) -> Outcome {
    let mut connection = Connection::default();
    for piece in pieces {
        if let Some(error) = connection.receive(piece, 32, limits) {
            return (connection.requests, Some(error), 0);
        }
    }
    (connection.requests, None, connection.buffer.len())
}

/// Feeds `input` whole, byte by byte and cut at every index: one result.
fn check(
    input: &[u8],
    limits: &Limits,
    requests: Expected,
    error: Option<ProtocolError>,
    left: usize,
) {
    let requests: Requests =
        requests.iter().map(|args| args.iter().map(|arg| arg.to_vec()).collect()).collect();
    let expected = (requests, error, left);
    assert_eq!(feed([input], limits), expected, "whole: {}", input.escape_ascii());
    assert_eq!(feed(input.chunks(1), limits), expected, "byte by byte: {}", input.escape_ascii());
    for cut in 0..=input.len() {
        let (first, second) = input.split_at(cut);
        assert_eq!(
            feed([first, second], limits),
            expected,
            "cut at {cut}: {}",
            input.escape_ascii()
        );
    }
}

#[test]
fn what_an_argument_lacks_is_known_from_its_length_line_on() {
    let request = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$20000\r\n";
    let value = [b"x".repeat(20_000).as_slice(), b"\r\n"].concat();
    let whole = [request.as_slice(), &value].concat();
    for arrived in 1..whole.len() {
        let (mut parser, mut batch) = (RequestParser::new(), Batch::new());
        parser.parse(&whole[..arrived], 32, &Limits::default(), &mut batch);
        let lacking = parser.lacking(&whole[..arrived]);
        let is_known = arrived >= request.len();
        // A short one is not waited for in this way until its line is whole, too.
        let is_right = lacking == whole.len() - arrived || !is_known && lacking < 6;
        assert!(is_right, "{lacking} after {arrived} bytes");
    }
    assert_eq!(RequestParser::new().lacking(b"*1\r\n$4\r\nPI"), 0, "nothing was read yet");
}

#[test]
fn p11_requests_are_the_same_however_they_are_split() {
    let long = [b"*2\r\n$4\r\nECHO\r\n$1000\r\n".as_slice(), &[b'x'; 1000], b"\r\n"].concat();
    let cases: &[(&[u8], Expected, usize)] = &[
        (b"", &[], 0),
        (b"*1\r\n$4\r\nPING\r\n", &[&[b"PING"]], 0),
        (b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", &[&[b"SET", b"k", b""], &[b"GET", b"k"]], 0),
        (b"*2\r\n$4\r\nECHO\r\n$12\r\n*1\r\n$4\r\nPING\r\n", &[&[b"ECHO", b"*1\r\n$4\r\nPING"]], 0),
        (b"*12\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n$1\r\ne\r\n$1\r\nf\r\n$1\r\ng\r\n$1\r\nh\r\n$1\r\ni\r\n$1\r\nj\r\n$1\r\nk\r\n$1\r\nl\r\n",
            &[&[b"a", b"b", b"c", b"d", b"e", b"f", b"g", b"h", b"i", b"j", b"k", b"l"]], 0),
        (&long, &[&[b"ECHO", &[b'x'; 1000]]], 0),
        (b"*1\r\n$4\r\nPING\r\n*2\r\n$3\r\nGET\r\n$5\r\nab", &[&[b"PING"]], 19),
        (b"PING\r\nPING\nset \"a b\" 'c'\r\n*1\r\n$4\r\nPING\r\n\r\n\nget x", &[&[b"PING"], &[b"PING"], &[b"set", b"a b", b"c"], &[b"PING"]], 5),
        // As in Redis, what stands in the place of an LF, and of the CRLF after an argument, is skipped unseen.
        (b"*1\rX$4\rYPINGZZPING\r\n", &[&[b"PING"], &[b"PING"]], 0),
    ];
    for &(input, requests, left) in cases {
        check(input, &Limits::default(), requests, None, left);
    }
}

#[test]
fn p03_empty_requests_are_ignored() {
    for empty in [
        "*-1\r\n",
        "*-10\r\n",
        "*0\r\n",
        "\r\n",
        "\n",
        "  \r\n",
        "*-9223372036854775808\r\n",
        "\0\r\n",
    ] {
        check(
            format!("{empty}PING\r\n{empty}").as_bytes(),
            &Limits::default(),
            &[&[b"PING"]],
            None,
            0,
        );
    }
}

#[test]
fn p01_p04_p06_malformed_requests_have_the_texts_of_redis() {
    let cases = [
        ("*2147483648", "invalid multibulk length"),
        ("*3000000000", "invalid multibulk length"),
        ("*99999999999999999999999999999999999999999", "invalid multibulk length"),
        ("*abc", "invalid multibulk length"),
        ("*", "invalid multibulk length"),
        ("*01", "invalid multibulk length"),
        ("*+1", "invalid multibulk length"),
        ("*-0", "invalid multibulk length"),
        ("*1\n$4", "invalid multibulk length"),
        ("*1\r\n$-5", "invalid bulk length"),
        ("*1\r\n$-1", "invalid bulk length"),
        ("*1\r\n$abc", "invalid bulk length"),
        ("*1\r\n$", "invalid bulk length"),
        ("*1\r\n$+4", "invalid bulk length"),
        ("*1\r\n$04", "invalid bulk length"),
        ("*2\r\n$1\r\na\r\n$536870913", "invalid bulk length"),
        ("*1\r\n$9223372036854775807", "invalid bulk length"),
        ("*1\r\n:4", "expected '$', got ':'"),
        ("*1\r\nfoo", "expected '$', got 'f'"),
        ("*2\r\n$1\r\na\r\n\0", "expected '$', got '\0'"),
        ("set \"\" \"a", "unbalanced quotes in request"),
        ("set \"a\"b c", "unbalanced quotes in request"),
        ("set 'a", "unbalanced quotes in request"),
    ];
    for (input, text) in cases {
        let input = format!("*1\r\n$4\r\nPING\r\nPING\r\n{input}\r\nPING\r\n");
        let (_, error, _) = feed([input.as_bytes()], &Limits::default());
        let error = error.unwrap();
        assert_eq!(error.to_string(), format!("Protocol error: {text}"), "{input:?}");
        check(input.as_bytes(), &Limits::default(), &[&[b"PING"], &[b"PING"]], Some(error), 0);
    }
    let (_, error, _) = feed([b"*1\r\n\xff\r\n".as_slice()], &Limits::default());
    assert_eq!(error.unwrap().text(), b"Protocol error: expected '$', got '\xff'");
}

#[test]
fn l12_unauthenticated_clients_may_send_little() {
    let ten = [b"*10\r\n".as_slice(), &b"$1\r\na\r\n".repeat(10)].concat();
    check(&ten, &UNAUTHENTICATED, &[&[b"a".as_slice(); 10]], None, 0);
    let most = [b"*1\r\n$16384\r\n".as_slice(), &[b'x'; 16384], b"\r\n"].concat();
    assert_eq!(feed([most.as_slice()], &UNAUTHENTICATED).0.len(), 1);
    let cases = [
        (
            "*11\r\n",
            ProtocolError::UnauthenticatedMultibulkLength,
            "unauthenticated multibulk length",
        ),
        (
            "*1\r\n$16385\r\n",
            ProtocolError::UnauthenticatedBulkLength,
            "unauthenticated bulk length",
        ),
    ];
    for (input, error, text) in cases {
        check(input.as_bytes(), &UNAUTHENTICATED, &[], Some(error), 0);
        check(input.as_bytes(), &Limits::default(), &[], None, input.len());
        assert_eq!(error.to_string(), format!("Protocol error: {text}"));
    }
}

#[test]
fn a_bulk_length_limit_holds_for_short_arguments_too() {
    let limits = Limits { bulk_len_max: 3, authenticated: true };
    check(b"*2\r\n$3\r\nGET\r\n$4\r\n", &limits, &[], Some(ProtocolError::InvalidBulkLength), 0);
    check(b"*1\r\n$9223372036854775807\r\nx", &Limits::TRUSTED, &[], None, 27);
}

#[test]
fn p07_p08_lines_over_64_kb_are_refused() {
    let cases = [
        ("*", ProtocolError::TooBigCountString, "too big mbulk count string"),
        ("*1\r\n$", ProtocolError::TooBigBulkCountString, "too big bulk count string"),
        ("x", ProtocolError::TooBigInlineRequest, "too big inline request"),
    ];
    for (head, error, text) in cases {
        assert_eq!(error.to_string(), format!("Protocol error: {text}"));
        let fits = [head.as_bytes(), &[b'1'; LINE_LEN_MAX - 1]].concat();
        let over = [&fits, b"1".as_slice()].concat();
        for size in [1, 10_000, usize::MAX] {
            assert_eq!(feed(fits.chunks(size), &Limits::default()).1, None);
            assert_eq!(feed(over.chunks(size), &Limits::default()).1, Some(error));
            // The same verdict if the end of the line comes in the same piece.
            let ended = [&over, b"\r\n".as_slice()].concat();
            assert_eq!(feed(ended.chunks(size), &Limits::default()).1, Some(error));
        }
    }
    let longest = [b"echo ".as_slice(), &[b'x'; LINE_LEN_MAX - 6], b"\r\n"].concat();
    for size in [1, usize::MAX] {
        assert_eq!(feed(longest.chunks(size), &Limits::default()).0.len(), 1);
    }
}

#[test]
fn p02_p05_nothing_is_reserved_from_declared_lengths() {
    for input in [b"*2147483647\r\n".as_slice(), b"*2147483647\r\n$536870912\r\n"] {
        let mut connection = Connection::default();
        assert_eq!(connection.receive(input, 32, &Limits::default()), None);
        assert_eq!(connection.parser.memory_bytes() + connection.batch.spans.capacity(), 0);
    }
}

#[test]
fn a_cleared_batch_keeps_the_memory_of_usual_requests_only() {
    let mut connection = Connection::default();
    let input = [b"*100000\r\n".as_slice(), &b"$1\r\nx\r\n".repeat(100_000)].concat();
    connection.receive(&input, 32, &Limits::default());
    assert!(connection.batch.spans.capacity() >= 100_000);
    connection.receive(b"PING\r\n", 32, &Limits::default());
    assert_eq!((connection.requests.len(), connection.requests[0].len()), (2, 100_000));
    assert!((1..50_000).contains(&connection.batch.spans.capacity()));
}

#[test]
fn a_complete_request_leaves_the_parser_without_memory() {
    let mut connection = Connection::default();
    connection.receive(b"*2\r\n$3\r\nGET\r\n$1", 32, &Limits::default());
    assert!(connection.parser.memory_bytes() > 0);
    connection.receive(b"\r\nk\r\n", 32, &Limits::default());
    assert_eq!((connection.parser.memory_bytes(), connection.requests.len()), (0, 1));
}

#[test]
fn p12_a_hundred_thousand_pipelined_requests() {
    let input = b"*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\nPING\r\n".repeat(50_000);
    for size in [1000, 16 * 1024, usize::MAX] {
        let (requests, error, left) = feed(input.chunks(size), &Limits::default());
        assert_eq!((requests.len(), error, left), (100_000, None, 0));
        assert!(requests.chunks(2).all(|pair| pair[0][1] == b"hi" && pair[1][0] == b"PING"));
    }
}

#[test]
fn a_batch_holds_at_most_what_was_asked_for() {
    let (mut parser, mut batch) = (RequestParser::new(), Batch::new());
    let input = b"PING\r\nPING\r\nPING\r\n";
    assert_eq!(
        parser.parse(input, 2, &Limits::default(), &mut batch),
        Parsed { consumed: 12, error: None }
    );
    assert_eq!((batch.len(), batch.end(0), batch.end(1)), (2, 6, 12));
    assert_eq!(
        parser.parse(input, 0, &Limits::default(), &mut batch),
        Parsed { consumed: 0, error: None }
    );
    assert!(batch.is_empty());
}

#[test]
fn p28_a_web_browser_is_seen_as_such() {
    let (requests, error, _) =
        feed([b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n".as_slice()], &Limits::default());
    assert_eq!(
        (requests[0][0].as_slice(), requests[1][0].as_slice(), error),
        (&b"POST"[..], &b"Host:"[..], None)
    );
}

/// Steps for the bytes of `input`, given in pieces of `size` to a parser that sees all of them so far.
fn steps(input: &[u8], size: usize) -> usize {
    let (mut parser, mut batch) = (RequestParser::new(), Batch::new());
    STEPS.with(|steps| steps.set(0));
    let ends = (size..input.len()).step_by(size).chain([input.len()]);
    let found = ends
        .map(|end| parser.parse(&input[..end], 1, &Limits::default(), &mut batch).consumed)
        .max();
    assert_eq!(found, Some(input.len()));
    STEPS.with(std::cell::Cell::get)
}

#[test]
fn a_request_in_pieces_takes_linear_work() {
    let mut million = Vec::new();
    write_request(&mut million, vec![b"x".as_slice(); 1_000_000].into_iter());
    let mut one_big = Vec::new();
    write_request(&mut one_big, [vec![b'x'; 2_000_000].as_slice()].into_iter());
    let inline = [vec![b'x'; 60_000], b"\r\n".to_vec()].concat();
    for input in [million, one_big, inline] {
        for size in [1, 16 * 1024] {
            let steps = steps(&input, size);
            // In 1-byte pieces, each call looks at the line it waits for, or at the length of what it waits for.
            let bound = 2 * input.len() + 16 * input.len() / size + 32 * (input.len() / size);
            assert!(steps <= bound, "{steps} steps for {} bytes in pieces of {size}", input.len());
        }
    }
}

fn any_request() -> impl Strategy<Value = Vec<Vec<u8>>> {
    proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..30), 1..6)
}

proptest! {
    #[test]
    fn random_requests_in_random_pieces(requests in proptest::collection::vec(any_request(), 0..8), cuts in proptest::collection::vec(1usize..40, 1..20)) {
        let mut input = Vec::new();
        requests.iter().for_each(|request| write_request(&mut input, request.iter().map(Vec::as_slice)));
        let mut connection = Connection::default();
        let (mut rest, mut cuts) = (input.as_slice(), cuts.iter().cycle());
        while !rest.is_empty() {
            let (piece, after) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
            prop_assert_eq!(connection.receive(piece, 3, &Limits::default()), None);
            rest = after;
        }
        prop_assert_eq!(connection.requests, requests);
        prop_assert!(connection.buffer.is_empty());
    }

    #[test]
    fn random_bytes_never_panic(input in "[*$0-9\r\n\"'x \\\\-]{0,60}", noise in proptest::collection::vec(any::<u8>(), 0..60), authenticated: bool) {
        let limits = Limits { bulk_len_max: 100, authenticated };
        for input in [input.as_bytes(), noise.as_slice()] {
            let whole = feed([input], &limits);
            prop_assert_eq!(&feed(input.chunks(1), &limits), &whole);
            prop_assert_eq!(&feed(input.chunks(7), &limits), &whole);
        }
    }
}
