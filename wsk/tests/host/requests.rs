//! Every request with every finisher: each pair that exists runs once on the host kernel, and the table in the guide agrees with
//! the table here.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write as _};
use std::marker::PhantomData;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use wsk::Received;
use wsk::events::{AcceptEvent, Inspection, Pended};
use wsk::events::{StreamIndication, StreamVerdict};
use wsk::ioctl::{ControlRequest, RoutingInterface};
use wsk::operation::Request;
use wsk::operation::{
    Arrival, Ended, Finished, InFlight, NotConnected, NotConnectedWithData, Operations,
    StreamArrival,
};
use wsk::option::TimeToLive;
use wsk::raw::{RawClientControl, RawControl};
use wsk::request::{Accepting, Function, NameInfo, NewConnection, Repeat};
use wsk::{
    AddressInfo, Cancel, ConnectedSocket, ConnectionSocket, DatagramSocket, Endpoint, Error,
    Family, ListenSocket, Messages, NonPagedBuffer, Provider, SecurityDescriptor,
};
use wsk_sys::{IP_TTL, IPPROTO_IP, WSK_TRANSPORT_LIST_CHANGE};

use crate::imports::files;
use crate::public_items::{public_items, signature};
use crate::setting::{
    LOOPBACK, PATIENCE, Setting, arrives, block_on, bound, in_settings_of, is_reset, kernels,
    seeded_kernels,
};

/// The columns of the table.
const FINISHERS: [&str; 14] = [
    "`wait`",
    "`wait_timeout`",
    "`wait_until`",
    "`wait_until_or_timeout`",
    "`start`",
    "`.await`",
    "`start_in`",
    "`start_with`",
    "`from`, `start`",
    "`from`, `.await`",
    "`from`, `start_with`",
    "`prepare`, `wait`",
    "`prepare`, `start`",
    "`prepare`, `start_with`",
];

/// How many of the columns run a request once.
const ONCE: usize = 11;

/// The rows: a request, and the reason why it cannot be prepared, if there is one.
const REQUESTS: [(&str, Option<Reason>); 38] = [
    ("[`send_to`](crate::DatagramSocket::send_to)", None),
    (
        "[`send`](crate::FixedDatagramSocket::send) to a fixed address",
        None,
    ),
    (
        "[`send_messages`](crate::DatagramSocket::send_messages)",
        None,
    ),
    ("[`send_all`](crate::FixedDatagramSocket::send_all)", None),
    (
        "[`receive_from`](crate::DatagramSocket::receive_from)",
        None,
    ),
    (
        "[`connect`](crate::ConnectedSocket::connect), making the socket",
        Some(Reason::Makes),
    ),
    (
        "[`connect`](crate::ConnectionSocket::connect) of a socket",
        Some(Reason::Once),
    ),
    (
        "[`accept`](crate::ListenSocket::accept)",
        Some(Reason::Makes),
    ),
    ("[`send`](crate::ConnectedSocket::send)", None),
    ("[`receive`](crate::ConnectedSocket::receive)", None),
    ("[`receive_all`](crate::ConnectedSocket::receive_all)", None),
    (
        "[`drain`](crate::ConnectedSocket::drain)",
        Some(Reason::Once),
    ),
    (
        "[`disconnect`](crate::ConnectedSocket::disconnect)",
        Some(Reason::Once),
    ),
    (
        "[`disconnect_after`](crate::ConnectedSocket::disconnect_after)",
        Some(Reason::Once),
    ),
    (
        "[`abort`](crate::ConnectedSocket::abort)",
        Some(Reason::Once),
    ),
    ("[`resolve`](crate::Provider::resolve)", Some(Reason::Name)),
    ("[`set_option`](crate::DatagramSocket::set_option)", None),
    ("[`option`](crate::DatagramSocket::option)", None),
    ("[`ioctl`](crate::DatagramSocket::ioctl)", None),
    (
        "[`control_raw`](crate::DatagramSocket::control_raw)",
        Some(Reason::Unsafe),
    ),
    (
        "[`transport_change`](crate::Provider::transport_change)",
        None,
    ),
    (
        "[`control_client_raw_request`](crate::Provider::control_client_raw_request)",
        Some(Reason::Unsafe),
    ),
    (
        "[`receive_exact`](crate::ConnectedSocket::receive_exact)",
        None,
    ),
    ("[`name_of`](crate::Provider::name_of)", Some(Reason::Name)),
    (
        "`connect` [`with_first_data`](crate::operation::Request::with_first_data)",
        Some(Reason::Once),
    ),
    (
        "[`accept`](crate::events::Pended::accept) of a pended connection",
        Some(Reason::Once),
    ),
    (
        "[`reject`](crate::events::Pended::reject) of a pended connection",
        Some(Reason::Once),
    ),
    (
        "[`set_security_descriptor`](crate::DatagramSocket::set_security_descriptor)",
        None,
    ),
    (
        "[`security_descriptor`](crate::DatagramSocket::security_descriptor)",
        Some(Reason::Name),
    ),
    (
        "[`indicate_control`](crate::ConnectedSocket::indicate_control)",
        None,
    ),
    (
        "[`redirect_records`](crate::ConnectedSocket::redirect_records)",
        Some(Reason::Redirected),
    ),
    (
        "[`redirect_context`](crate::ConnectedSocket::redirect_context)",
        Some(Reason::Redirected),
    ),
    (
        "[`set_redirect_records`](crate::ConnectionSocket::set_redirect_records)",
        Some(Reason::Redirected),
    ),
    (
        "`connect`, making the socket, [`with_events`](crate::operation::Request::with_events)",
        Some(Reason::Makes),
    ),
    (
        "`accept` [`with_events`](crate::operation::Request::with_events)",
        Some(Reason::Makes),
    ),
    (
        "[`connect_to`](crate::ConnectedSocket::connect_to), making the socket",
        Some(Reason::Makes),
    ),
    (
        "[`connect_to`](crate::ConnectionSocket::connect_to) of a socket",
        Some(Reason::Once),
    ),
    (
        "[`accept_from_any`](crate::ListenSocket::accept_from_any)",
        Some(Reason::Makes),
    ),
];

/// The reasons why a pair does not exist.
#[derive(Clone, Copy, PartialEq)]
enum Reason {
    Makes = 1,
    Once,
    Name,
    Unsafe,
    Redirected,
}

const REASONS: [&str; 5] = [
    "A new socket comes of each: there is nothing to keep but the IRP, which [pools of operations](crate::operation::Operations) keep.",
    "It happens once to a connection.",
    "New memory comes of each, which is the caller's, so each run allocates. [Pools of operations](crate::operation::Operations) keep the IRP.",
    "Its caller vouches for the input and the output of one request.",
    "WFP redirects a connection once: its records and its context do not change, and are set once.",
];

/// The table in the form of the guide.
fn table() -> String {
    let mut text = format!("| request | {} |\n|---|", FINISHERS.join(" | "));
    text += &"---|".repeat(FINISHERS.len());
    for (request, missing) in REQUESTS {
        write!(text, "\n| {request} |").unwrap();
        for column in 0..FINISHERS.len() {
            match missing {
                Some(reason) if column >= ONCE => write!(text, " {} |", reason as u32).unwrap(),
                _ => text += " yes |",
            }
        }
    }
    text += "\n\n";
    for (number, reason) in (1..).zip(REASONS) {
        writeln!(text, "{number}. {reason}").unwrap();
    }
    text
}

#[test]
fn the_guide_has_this_table() {
    let page = include_str!("../../src/guide/requests.md").replace("\r\n", "\n");
    assert!(page.contains(&table()), "it is\n\n{}", table());
    for (number, _) in (1..).zip(REASONS) {
        let used = REQUESTS
            .iter()
            .any(|(_, missing)| missing.is_some_and(|m| m as u32 == number));
        assert!(used, "reason {number}");
    }
}

/// Methods that make or change a request, and have no row: with the reason.
const WITHOUT_A_ROW: &[(&str, &str, &str)] = &[
    (
        "StreamSocket",
        "connect",
        "the request of ConnectionSocket::connect",
    ),
    (
        "StreamSocket",
        "connect_to",
        "the request of ConnectionSocket::connect_to",
    ),
    (
        "Request",
        "bound_to",
        "changes the address of `connect`, making the socket",
    ),
    ("Request", "for_datagrams", "changes a flag of `name_of`"),
    ("Request", "must_have_name", "changes a flag of `name_of`"),
    ("Request", "numeric", "changes a flag of `name_of`"),
    ("Request", "out_of_band", "changes a flag of `send`"),
];

/// The public methods in `tokens` that return a request, or change one, each with its type. A macro writes those of `$Socket` for several
/// sockets, of which the table has one.
fn making_requests(tokens: TokenStream, found: &mut BTreeSet<(String, String)>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let is = |at: usize, word: &str| {
        tokens
            .get(at)
            .is_some_and(|token| token.to_string() == word)
    };
    let braces = |token: &TokenTree| match token {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => Some(group.stream()),
        _ => None,
    };
    for (at, token) in tokens.iter().enumerate() {
        if let TokenTree::Group(group) = token {
            making_requests(group.stream(), found);
        }
        if !is(at, "impl") {
            continue;
        }
        let Some((head, body)) = tokens[at + 1..]
            .iter()
            .enumerate()
            .find_map(|(length, token)| Some((&tokens[at + 1..=at + length], braces(token)?)))
        else {
            continue;
        };
        let head = outside_of_angles(head);
        if head.iter().any(|word| word == "for") {
            continue;
        }
        let Some(of) = head.iter().take_while(|word| *word != "where").last() else {
            continue;
        };
        let of = if of == "Socket" { "DatagramSocket" } else { of };
        for name in returning_requests(body, of == "Request") {
            found.insert((of.to_owned(), name));
        }
    }
}

/// The words outside of angle brackets.
fn outside_of_angles(tokens: &[TokenTree]) -> Vec<String> {
    let (mut depth, mut words, mut before) = (0, vec![], String::new());
    for token in tokens {
        let word = token.to_string();
        match (word.as_str(), before.as_str()) {
            ("<", _) => depth += 1,
            // The end of an arrow, which is no bracket.
            (">", "-") => words.push("->".to_owned()),
            (">", _) => depth -= 1,
            _ if depth == 0 => words.push(word.clone()),
            _ => {}
        }
        before = word;
    }
    words
}

/// The public functions of an `impl` that return a `Request`, or `Self` if that is one.
fn returning_requests(body: TokenStream, is_request: bool) -> Vec<String> {
    let body: Vec<TokenTree> = body.into_iter().collect();
    let mut names = vec![];
    for signature in public_items(&body).filter_map(signature) {
        // The last part of the path.
        let words = outside_of_angles(signature);
        let returned = words
            .iter()
            .skip_while(|word| *word != "->")
            .take_while(|word| *word != "where")
            .last();
        let returned = returned.map_or("", String::as_str);
        if returned == "Request" || returned == "Self" && is_request {
            names.extend(words.first().cloned());
        }
    }
    names
}

#[test]
fn every_method_that_makes_a_request_has_a_row_or_a_reason() {
    let text = "impl<T: A<B>> Many<T> { pub fn one(&self) -> Request<'_, F, B> { x() } fn no() -> Request<F> {}
        pub(crate) fn no() -> Request<F> {} pub fn no(r: Request<F>) -> Self {} #[doc = \"x\"] pub const unsafe fn two() -> Request<F, ()>
        where A: B {} } impl T for U { pub fn no() -> Request<F> {} } m! { { impl $Socket { pub fn three() -> $crate::Request<$F> {} } } }
        impl<F> Request<'_, F> { pub fn four(self) -> Self {} pub fn no(self) -> Result<Self> {} }";
    let mut found = BTreeSet::new();
    making_requests(text.parse().unwrap(), &mut found);
    let expected = [
        ("DatagramSocket", "three"),
        ("Many", "one"),
        ("Many", "two"),
        ("Request", "four"),
    ];
    let pair = |of: &str, name: &str| (of.to_owned(), name.to_owned());
    assert_eq!(found, expected.map(|(of, name)| pair(of, name)).into());

    let mut found = BTreeSet::new();
    for file in files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let text = fs::read_to_string(file).unwrap();
        making_requests(text.parse().unwrap(), &mut found);
    }
    let links = REQUESTS
        .iter()
        .flat_map(|(row, _)| row.split("(crate::").skip(1));
    let in_the_table: BTreeSet<_> = links
        .map(|link| {
            let mut path = link.split(')').next().unwrap().rsplit("::");
            let name = path.next().unwrap();
            pair(path.next().unwrap(), name)
        })
        .collect();
    let with_a_reason: BTreeSet<_> = WITHOUT_A_ROW
        .iter()
        .map(|(of, name, _)| pair(of, name))
        .collect();
    let told: BTreeSet<_> = in_the_table.union(&with_a_reason).cloned().collect();
    let missing: Vec<_> = found.difference(&told).collect();
    assert!(
        missing.is_empty(),
        "these need a row or a reason: {missing:?}"
    );
    let gone: Vec<_> = told.difference(&found).collect();
    assert!(gone.is_empty(), "these make no request: {gone:?}");
    assert!(in_the_table.is_disjoint(&with_a_reason));
}

/// The result of a request, in words.
trait Says {
    fn says(self) -> String;
}

impl Says for () {
    fn says(self) -> String {
        String::new()
    }
}

impl Says for usize {
    fn says(self) -> String {
        self.to_string()
    }
}

impl Says for Received {
    fn says(self) -> String {
        self.length().to_string()
    }
}

impl Says for Arrival<'_, NonPagedBuffer> {
    fn says(self) -> String {
        self.length().to_string()
    }
}

impl Says for StreamArrival<'_, NonPagedBuffer> {
    fn says(self) -> String {
        self.length().to_string()
    }
}

/// The result of an operation that owns its first data.
impl Says for (ConnectedSocket, NonPagedBuffer) {
    fn says(self) -> String {
        assert_eq!(self.1.as_slice(), b"four");
        self.0.says()
    }
}

impl Says for ConnectedSocket {
    fn says(self) -> String {
        self.remote_address().unwrap().to_string()
    }
}

impl Says for (ConnectedSocket, SocketAddr) {
    fn says(self) -> String {
        assert_eq!(self.0.remote_address().unwrap(), self.1);
        "accepted".to_owned()
    }
}

impl Says for AddressInfo {
    fn says(self) -> String {
        self.iter().map(|address| address.to_string()).collect()
    }
}

impl Says for SecurityDescriptor {
    fn says(self) -> String {
        "cached".to_owned()
    }
}

impl Says for NameInfo {
    fn says(self) -> String {
        self.to_string()
    }
}

impl Says for TimeToLive {
    fn says(self) -> String {
        format!("{self:?}")
    }
}

impl Says for SocketAddr {
    fn says(self) -> String {
        self.ip().to_string()
    }
}

impl Says for (ConnectedSocket, Endpoint) {
    fn says(self) -> String {
        assert_eq!(self.0.remote_endpoint().unwrap(), self.1);
        "accepted".to_owned()
    }
}

/// A request whose result is an error has run, too.
impl<T: Says> Says for Result<T, Error> {
    fn says(self) -> String {
        match self {
            Ok(output) => output.says(),
            Err(error) => error.to_string(),
        }
    }
}

/// The result in a scope, with the buffer.
impl<B> Says for (usize, B) {
    fn says(self) -> String {
        self.0.says()
    }
}

impl<B> Says for ((), B) {
    fn says(self) -> String {
        String::new()
    }
}

impl<B> Says for (Received, B) {
    fn says(self) -> String {
        self.0.says()
    }
}

/// The result of an operation, in words.
trait Ends {
    type Output: Says;
    fn output(self) -> Self::Output;
}

impl<T: Says, B> Ends for Finished<T, B> {
    type Output = T;
    fn output(self) -> T {
        assert!(self.buffer.is_some());
        self.result.unwrap()
    }
}

impl<T: Says> Ends for Result<T, Error> {
    type Output = Self;
    fn output(self) -> Self {
        self
    }
}

impl<T: Says> Ends for Result<T, NotConnected> {
    type Output = T;
    fn output(self) -> T {
        self.map_err(|refused| refused.error).unwrap()
    }
}

impl<B> Ends for Result<(ConnectedSocket, B), NotConnectedWithData<B>>
where
    (ConnectedSocket, B): Says,
{
    type Output = (ConnectedSocket, B);
    fn output(self) -> (ConnectedSocket, B) {
        self.map_err(|refused| refused.error).unwrap()
    }
}

/// Whether the compiler lets a request be prepared. If its type lacks the method, this trait answers.
struct Probe<F, B>(PhantomData<(F, B)>);

fn probe<F: Function<B>, B>(_: &Request<'_, F, B>) -> Probe<F, B> {
    Probe(PhantomData)
}

impl<F: Function<B>, B: Send + 'static> Probe<F, B>
where
    F::Operation: Repeat<B>,
{
    #[allow(
        clippy::unused_self,
        reason = "as the trait's, which it is found before"
    )]
    fn can_be_prepared(&self) -> bool {
        true
    }
}

trait CannotBePrepared {
    fn can_be_prepared(&self) -> bool {
        false
    }
}

impl<F, B> CannotBePrepared for Probe<F, B> {}

/// Receives the result of a completion, and checks that it comes once.
macro_rules! told {
    (|$completion:ident| $start:expr) => {{
        let (sender, receiver) = channel();
        let $completion = move |end| _ = sender.send(end);
        $start.map_err(|_| "not started").unwrap();
        let end = receiver.recv_timeout(PATIENCE).unwrap();
        assert!(receiver.recv().is_err(), "told twice");
        end
    }};
}

/// Runs a request with each finisher. `$with` is made anew for each, and so is the request, whose result is `$says`. The two
/// blocks run before and after the request: they make it complete, and check its effect.
macro_rules! row {
    (
        $provider:expr, $row:literal, $with:ident = $made:expr,
        $before:expr, $request:expr, $after:expr, $says:expr $(, $prepare:ident $(sees $seen:expr)?)?
    ) => {{
        let (provider, says): (&Provider, String) = ($provider, $says.to_string());
        let check = |output: String, finisher: usize| {
            let (row, finisher) = (REQUESTS[$row].0, FINISHERS[finisher]);
            assert_eq!(output, says, "{row}, {finisher}");
        };
        {
            let $with = &$made;
            $before;
            check($request.wait().output().says(), 0);
            $after;
        }
        {
            let $with = &$made;
            $before;
            check($request.wait_timeout(PATIENCE).output().says(), 1);
            $after;
        }
        let nobody = Cancel::new().unwrap();
        {
            let $with = &$made;
            $before;
            check($request.wait_until(&nobody).output().says(), 2);
            $after;
        }
        {
            let $with = &$made;
            $before;
            let waited = $request.wait_until_or_timeout(&nobody, PATIENCE);
            check(waited.output().says(), 3);
            $after;
        }
        {
            let $with = &$made;
            $before;
            let started = $request.start().map_err(|_| "not started").unwrap();
            check(started.wait().map_err(|(error, _)| error).unwrap().output().says(), 4);
            $after;
        }
        {
            let $with = &$made;
            $before;
            check(block_on(async { $request.await }).output().says(), 5);
            $after;
        }
        {
            let $with = &$made;
            $before;
            wsk::scope(|scope| {
                let started = $request.start_in(scope).map_err(|_| "not started").unwrap();
                check(started.wait().output().says(), 6);
            })
            .unwrap();
            $after;
        }
        {
            let $with = &$made;
            $before;
            let end = told!(|completion| $request.start_with(completion));
            check(end.output().says(), 7);
            $after;
        }
        let operations = Operations::new(provider, 1).unwrap();
        {
            let $with = &$made;
            $before;
            let started = $request.from(&operations).start().map_err(|_| "not started").unwrap();
            check(started.wait().map_err(|(error, _)| error).unwrap().output().says(), 8);
            $after;
        }
        {
            let $with = &$made;
            $before;
            check(block_on(async { $request.from(&operations).await }).output().says(), 9);
            $after;
        }
        {
            let $with = &$made;
            $before;
            let end = told!(|completion| $request.from(&operations).start_with(completion));
            check(end.output().says(), 10);
            $after;
        }
        operations.wait_until_idle().unwrap();
        let can_be_prepared = REQUESTS[$row].1.is_none();
        {
            let $with = &$made;
            let request = $request;
            assert_eq!(probe(&request).can_be_prepared(), can_be_prepared);
        }
        let ran: &[&str] = &[$(
            {
                $(
                    let says: String = $seen.to_string();
                    let check = |output: String, finisher: usize| {
                        let (row, finisher) = (REQUESTS[$row].0, FINISHERS[finisher]);
                        assert_eq!(output, says, "{row}, {finisher}");
                    };
                )?
                row!(@$prepare $with = $made, $before, $request, $after, check);
                stringify!($prepare)
            }
        )?];
        assert_eq!(ran.len() == 1, can_be_prepared, "the table must say what can be prepared");
    }};
    (@prepare $with:ident = $made:expr, $before:expr, $request:expr, $after:expr, $check:ident) => {{
        let $with = &$made;
        let mut prepared = $request.prepare().map_err(Error::from).unwrap();
        for _ in 0..2 {
            $before;
            $check(prepared.wait().unwrap().says(), 11);
            $after;
        }
        $before;
        $check(prepared.wait_timeout(PATIENCE).unwrap().says(), 11);
        $after;
        $before;
        $check(prepared.wait_until(&Cancel::new().unwrap()).unwrap().says(), 11);
        $after;
        $before;
        let waited = prepared.wait_until_or_timeout(&Cancel::new().unwrap(), PATIENCE);
        $check(waited.unwrap().says(), 11);
        $after;
        $before;
        let started = prepared.start().map_err(|refused| refused.error).unwrap();
        let ended = started.wait().map_err(|(error, _)| error).unwrap();
        $check(ended.result().unwrap().says(), 12);
        $after;
        let prepared = ended.into_operation().unwrap();
        $before;
        let started = prepared.start().map_err(|refused| refused.error).unwrap();
        let ended = block_on(started);
        $check(ended.result().unwrap().says(), 12);
        $after;
        let prepared = ended.into_operation().unwrap();
        $before;
        let ended: Ended<_, _> = told!(|completion| prepared.start_with(completion));
        $check(ended.result().unwrap().says(), 13);
        $after;
    }};
}

fn four() -> NonPagedBuffer {
    NonPagedBuffer::copy_of(b"four").unwrap()
}

fn three() -> Messages<NonPagedBuffer> {
    let buffers = [b"one".as_slice(), b"", b"three"];
    Messages::new(buffers.map(|bytes| NonPagedBuffer::copy_of(bytes).unwrap())).unwrap()
}

/// Nothing happens before or after the request.
fn nothing() {}

/// A handler of events.
fn ignore(_: &mut StreamIndication<'_>) -> StreamVerdict {
    StreamVerdict::Consumed
}

#[test]
fn datagram_requests_with_every_finisher() {
    in_settings_of(seeded_kernels(), |_, s| {
        let provider = &s.provider;
        row!(
            provider,
            0,
            _none = (),
            nothing(),
            s.socket.send_to(four(), s.to),
            s.says(b"four"),
            4,
            prepare
        );
        let fixed = bound(provider, Family::V4, LOOPBACK)
            .fix_destination(s.to)
            .unwrap();
        row!(
            provider,
            1,
            _none = (),
            nothing(),
            fixed.send(four()),
            s.says(b"four"),
            4,
            prepare
        );
        // Deferred sends of one request may overtake each other.
        let arrive = || {
            let mut lengths = [(); 3].map(|()| s.peer.recv(&mut [0; 8]).unwrap());
            lengths.sort_unstable();
            assert_eq!(lengths, [0, 3, 5]);
        };
        row!(
            provider,
            2,
            _none = (),
            nothing(),
            s.socket.send_messages(three(), s.to),
            arrive(),
            8,
            prepare
        );
        row!(
            provider,
            3,
            _none = (),
            nothing(),
            fixed.send_all(three()),
            arrive(),
            8,
            prepare
        );
        row!(
            provider,
            4,
            _none = (),
            s.hears(b"four"),
            s.socket.receive_from(four()),
            nothing(),
            4,
            prepare
        );
    });
}

/// Both ends of a connection.
fn connection(s: &Setting, listener: &TcpListener) -> (ConnectedSocket, RefCell<TcpStream>) {
    let remote = listener.local_addr().unwrap();
    let socket = ConnectedSocket::connect(&s.provider, remote)
        .wait()
        .unwrap();
    let (peer, _) = listener.accept().unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    (socket, RefCell::new(peer))
}

/// The peer sends these bytes, and then disconnects if they are its last.
fn peer_says(peer: &RefCell<TcpStream>, bytes: &[u8], and_ends: bool) {
    peer.borrow_mut().write_all(bytes).unwrap();
    if and_ends {
        peer.borrow_mut().shutdown(Shutdown::Write).unwrap();
    }
}

/// The peer receives these bytes, and then the end if there is one.
fn peer_hears(peer: &RefCell<TcpStream>, expected: &[u8], and_the_end: bool) {
    let mut bytes = vec![0; expected.len()];
    peer.borrow_mut().read_exact(&mut bytes).unwrap();
    assert_eq!(bytes, expected);
    if and_the_end {
        assert_eq!(peer.borrow_mut().read(&mut [0; 8]).unwrap(), 0);
    }
}

#[test]
fn connecting_and_accepting_with_every_finisher() {
    in_settings_of(seeded_kernels(), |_, s| {
        let provider = &s.provider;
        let listener = TcpListener::bind(LOOPBACK).unwrap();
        let remote = listener.local_addr().unwrap();
        let taken = || drop(listener.accept().unwrap());
        row!(
            provider,
            5,
            _none = (),
            nothing(),
            ConnectedSocket::connect(provider, remote),
            taken(),
            remote
        );
        row!(
            provider,
            33,
            _none = (),
            nothing(),
            ConnectedSocket::connect(provider, remote).with_events(ignore),
            taken(),
            remote
        );
        row!(
            provider,
            35,
            _none = (),
            nothing(),
            ConnectedSocket::connect_to(provider, Family::V4, remote),
            taken(),
            remote
        );
        let bound = || {
            let socket = ConnectionSocket::open(provider, Family::V4).unwrap();
            socket
                .bind(LOOPBACK.parse::<SocketAddr>().unwrap())
                .unwrap();
            socket
        };
        row!(
            provider,
            6,
            _none = (),
            nothing(),
            bound().connect(remote),
            nothing(),
            remote
        );
        // All except the one that the probe did not run.
        for _ in 0..ONCE {
            taken();
        }
        row!(
            provider,
            36,
            _none = (),
            nothing(),
            bound().connect_to(remote),
            taken(),
            remote
        );
        let four_come = || {
            let mut bytes = [0; 4];
            let (mut peer, _) = listener.accept().unwrap();
            peer.read_exact(&mut bytes).unwrap();
            assert_eq!(&bytes, b"four");
        };
        row!(
            provider,
            24,
            _none = (),
            nothing(),
            bound().connect(remote).with_first_data(four()),
            nothing(),
            remote
        );
        for _ in 0..ONCE {
            four_come();
        }
    });
}

#[test]
fn accepting_with_every_finisher() {
    in_settings_of(seeded_kernels(), |_, s| {
        let provider = &s.provider;
        let own = ListenSocket::open(provider, Family::V4).unwrap();
        own.bind(LOOPBACK.parse::<SocketAddr>().unwrap()).unwrap();
        let local = own.local_address().unwrap();
        let peers = RefCell::new(Vec::new());
        let comes = || peers.borrow_mut().push(TcpStream::connect(local).unwrap());
        row!(
            provider,
            7,
            _none = (),
            comes(),
            own.accept(),
            nothing(),
            "accepted"
        );
        row!(
            provider,
            34,
            _none = (),
            comes(),
            own.accept().with_events(ignore),
            nothing(),
            "accepted"
        );
        row!(
            provider,
            37,
            _none = (),
            comes(),
            own.accept_from_any(),
            nothing(),
            "accepted"
        );
    });
}

#[test]
fn redirections_with_every_finisher() {
    in_settings_of(seeded_kernels(), |_, s| {
        let provider = &s.provider;
        let listener = TcpListener::bind(LOOPBACK).unwrap();
        let kept = connection(s, &listener);
        // No connection is redirected here: WSK says so.
        let none = kept.0.redirect_records(&mut [0; 4]).wait();
        assert!(matches!(none, Err(Error::Call { .. })), "{none:?}");
        let none = none.says();
        row!(
            provider,
            30,
            output = Static::new(),
            nothing(),
            kept.0.redirect_records(output.get()),
            nothing(),
            none
        );
        row!(
            provider,
            31,
            output = Static::new(),
            nothing(),
            kept.0.redirect_context(output.get()),
            nothing(),
            none
        );
        let next = ConnectionSocket::open(provider, Family::V4).unwrap();
        row!(
            provider,
            32,
            _none = (),
            nothing(),
            next.set_redirect_records(b"opaque"),
            nothing(),
            0
        );
    });
}

/// Lets somebody else decide about each connection.
struct Undecided(Mutex<Sender<Pended>>);

impl AcceptEvent for Undecided {
    fn inspect(&self, inspection: Inspection<'_>) {
        let pended = inspection.pend().unwrap();
        self.0.lock().unwrap().send(pended).unwrap();
    }
}

#[test]
fn inspections_are_ended_with_every_finisher() {
    in_settings_of(seeded_kernels(), |_, s| {
        let provider = &s.provider;
        let (sender, pended) = channel();
        let handler = Undecided(Mutex::new(sender));
        let own = ListenSocket::open_conditional(provider, Family::V4, handler).unwrap();
        own.bind(LOOPBACK.parse::<SocketAddr>().unwrap()).unwrap();
        let local = own.local_address().unwrap();
        let peers = RefCell::new(Vec::new());
        let comes = || peers.borrow_mut().push(TcpStream::connect(local).unwrap());
        // A connection is only inspected while somebody waits for it.
        let waits = || own.accept().start().unwrap();
        let asked = || {
            let accept = waits();
            comes();
            (
                RefCell::new(Some(pended.recv_timeout(PATIENCE).unwrap())),
                RefCell::new(Some(accept)),
            )
        };
        let taken = |accept: &RefCell<Option<InFlight<Accepting, NewConnection>>>| {
            let accept = accept.take().unwrap();
            let (socket, _) = accept.wait().map_err(|(error, _)| error).unwrap().unwrap();
            assert_eq!(socket.local_address().unwrap(), local);
        };
        row!(
            provider,
            25,
            one = asked(),
            nothing(),
            one.0.take().unwrap().accept(),
            taken(&one.1),
            ""
        );
        let refused = |accept: &RefCell<Option<InFlight<Accepting, NewConnection>>>| {
            let accept = accept.take().unwrap();
            assert!(is_reset(peers.borrow_mut().last_mut().unwrap()));
            assert!(!accept.is_completed());
        };
        row!(
            provider,
            26,
            one = asked(),
            nothing(),
            one.0.take().unwrap().reject(),
            refused(&one.1),
            ""
        );
    });
}

#[test]
fn requests_of_a_connection_with_every_finisher() {
    in_settings_of(seeded_kernels(), |_, s| {
        let provider = &s.provider;
        let listener = TcpListener::bind(LOOPBACK).unwrap();
        let fresh = || connection(s, &listener);
        let kept = fresh();
        row!(
            provider,
            8,
            _none = (),
            nothing(),
            kept.0.send(four()),
            peer_hears(&kept.1, b"four", false),
            4,
            prepare
        );
        let told = ConnectedSocket::connect(provider, listener.local_addr().unwrap())
            .with_events(ignore)
            .wait()
            .unwrap();
        drop(listener.accept().unwrap());
        row!(
            provider,
            29,
            _none = (),
            nothing(),
            told.indicate_control(true),
            nothing(),
            "",
            prepare
        );
        row!(
            provider,
            9,
            _none = (),
            peer_says(&kept.1, b"four", false),
            kept.0.receive(four()),
            nothing(),
            4,
            prepare
        );
        row!(
            provider,
            10,
            _none = (),
            peer_says(&kept.1, b"four", false),
            kept.0.receive_all(four()),
            nothing(),
            4,
            prepare
        );
        row!(
            provider,
            22,
            _none = (),
            peer_says(&kept.1, b"four", false),
            kept.0.receive_exact(four()),
            nothing(),
            "",
            prepare sees 4
        );
        row!(
            provider,
            11,
            c = fresh(),
            peer_says(&c.1, b"lost", true),
            c.0.drain(),
            nothing(),
            ""
        );
        row!(
            provider,
            12,
            c = fresh(),
            nothing(),
            c.0.disconnect(),
            peer_hears(&c.1, b"", true),
            ""
        );
        row!(
            provider,
            13,
            c = fresh(),
            nothing(),
            c.0.disconnect_after(four()),
            peer_hears(&c.1, b"four", true),
            ""
        );
        row!(
            provider,
            14,
            c = fresh(),
            peer_says(&c.1, b"unread", false),
            c.0.abort(),
            assert!(is_reset(&mut c.1.borrow_mut())),
            ""
        );
    });
}

/// Memory that an abandoned operation may keep.
struct Static(*mut [u8; 4]);

impl Static {
    fn new() -> Self {
        Self(Box::into_raw(Box::new([0xEE; 4])))
    }

    #[allow(clippy::mut_from_ref, reason = "one request at a time has it")]
    fn get(&self) -> &'static mut [u8] {
        // SAFETY: the memory exists until this is dropped, which is after the operations that use it.
        unsafe { &mut *self.0 }
    }
}

impl Drop for Static {
    fn drop(&mut self) {
        // SAFETY: `new` made it, and nobody uses it any more.
        drop(unsafe { Box::from_raw(self.0) });
    }
}

#[test]
fn lookups_options_and_controls_with_every_finisher() {
    in_settings_of(seeded_kernels(), |_, s| {
        let provider = &s.provider;
        row!(
            provider,
            15,
            _none = (),
            nothing(),
            provider.resolve(("127.0.0.1", "80")),
            nothing(),
            "127.0.0.1:80"
        );
        row!(
            provider,
            23,
            _none = (),
            nothing(),
            provider
                .name_of("127.0.0.1:80".parse::<SocketAddr>().unwrap())
                .numeric(),
            nothing(),
            "127.0.0.1:80"
        );
        let is_set = || assert_eq!(s.socket.option().wait(), Ok(TimeToLive(7)));
        row!(
            provider,
            16,
            _none = (),
            nothing(),
            s.socket.set_option(TimeToLive(7)),
            is_set(),
            "",
            prepare
        );
        row!(
            provider,
            17,
            _none = (),
            nothing(),
            s.socket.option::<TimeToLive>(),
            nothing(),
            "TimeToLive(7)",
            prepare
        );
        row!(
            provider,
            18,
            _none = (),
            nothing(),
            s.socket.ioctl(RoutingInterface(s.to)),
            nothing(),
            "127.0.0.1",
            prepare
        );
        let other = DatagramSocket::open(provider, Family::V4).unwrap();
        let descriptor = other.security_descriptor().wait().unwrap();
        row!(
            provider,
            27,
            _none = (),
            nothing(),
            other.set_security_descriptor(&descriptor),
            nothing(),
            "",
            prepare
        );
        row!(
            provider,
            28,
            _none = (),
            nothing(),
            other.security_descriptor(),
            nothing(),
            "cached"
        );
        let (level, option) = (IPPROTO_IP, IP_TTL);
        let get = ControlRequest::GetOption { level, option };
        row!(
            provider,
            19,
            output = Static::new(),
            nothing(),
            // SAFETY: the option is a number of four bytes.
            unsafe {
                s.socket
                    .control_raw(RawControl::new(get, &[]), output.get())
            },
            assert_eq!(output.get(), [7, 0, 0, 0]),
            4
        );
    });
}

#[test]
fn controls_of_the_client_with_every_finisher() {
    in_settings_of(seeded_kernels(), |kernel, s| {
        let provider = &s.provider;
        let over = AtomicBool::new(false);
        std::thread::scope(|threads| {
            threads.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    kernel.change_transports();
                    std::thread::sleep(Duration::from_millis(1));
                }
            });
            row!(
                provider,
                20,
                _none = (),
                nothing(),
                provider.transport_change(),
                nothing(),
                "",
                prepare
            );
            row!(
                provider,
                21,
                output = Static::new(),
                nothing(),
                // SAFETY: the operation takes an IRP, and has neither input nor output.
                unsafe {
                    provider.control_client_raw_request(
                        RawClientControl::new(WSK_TRANSPORT_LIST_CHANGE, &[]),
                        &mut output.get()[..0],
                    )
                },
                nothing(),
                0
            );
            over.store(true, Ordering::Relaxed);
        });
    });
}

#[test]
fn what_is_wrong_is_the_same_for_every_finisher() {
    in_settings_of(kernels(), |_, s| {
        let v6: SocketAddr = "[::1]:9".parse().unwrap();
        let expected = Error::WrongFamily {
            socket: Family::V4,
            address: Family::V6,
        };
        let (operations, nobody) = (Operations::new(&s.provider, 1), Cancel::new().unwrap());
        let (operations, lists) = (
            operations.unwrap(),
            Operations::new(&s.provider, 1).unwrap(),
        );
        /// The error of a request with each finisher.
        macro_rules! errors {
            ($request:expr, $operations:expr) => {
                [
                    $request.wait().unwrap_err(),
                    $request.wait_timeout(PATIENCE).unwrap_err(),
                    $request.wait_until(&nobody).unwrap_err(),
                    $request
                        .wait_until_or_timeout(&nobody, PATIENCE)
                        .unwrap_err(),
                    $request.start().unwrap_err().error,
                    block_on(async { $request.await.result.unwrap_err() }),
                    wsk::scope(|scope| $request.start_in(scope).map(drop).unwrap_err()).unwrap(),
                    $request.start_with(|_| ()).unwrap_err().error,
                    $request.from($operations).start().unwrap_err().error,
                    block_on(async { $request.from($operations).await.result.unwrap_err() }),
                    $request
                        .from($operations)
                        .start_with(|_| ())
                        .unwrap_err()
                        .error,
                    $request.prepare().unwrap_err().error,
                ]
            };
        }
        // The datagram is also too long, and the port is zero: the family is checked first.
        let long = || NonPagedBuffer::new(65_508).unwrap();
        let errors = errors!(s.socket.send_to(long(), v6), &operations);
        assert_eq!(errors, [expected; ONCE + 1]);
        let messages = || Messages::<NonPagedBuffer>::new([]).unwrap();
        let errors = errors!(s.socket.send_messages(messages(), v6), &lists);
        assert_eq!(
            errors,
            [Error::NoMessages; ONCE + 1],
            "this error comes before that of the address"
        );
        arrives_nothing(s);
        assert!(operations.is_idle() && lists.is_idle());
    });
}

/// No request ran before this one.
fn arrives_nothing(s: &Setting) {
    assert_eq!(s.socket.send_to(b"first", s.to).wait(), Ok(5));
    arrives(&s.peer, b"first");
}
