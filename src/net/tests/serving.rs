//! Order, fairness and budgets while connections are open; signals.

use super::*;

#[test]
fn pipelined_bytes_come_back_in_order() {
    let mut fixture = Fixture::new();
    let mut client = fixture.connect();
    let sent: Vec<u8> =
        (0..50_000u32).flat_map(|number| format!("{number}\n").into_bytes()).collect();
    let mut left = &sent[..];
    let mut got = Vec::new();
    fixture.until(|_| {
        left = &left[client.write(left).unwrap_or(0)..];
        read_some(&mut client, &mut got, sent.len()).unwrap();
        got.len() == sent.len()
    });
    assert_eq!(got, sent);
    assert_eq!(fixture.event_loop.stats.bytes_written, sent.len() as u64);
}

#[test]
fn a_big_reply_to_a_slow_reader_leaves_the_others_served() {
    let mut fixture = Fixture::new();
    let (mut slow, mut other) = (fixture.connect(), fixture.connect());
    slow.write_all(b"big\n").unwrap();
    fixture.until(|echo| echo.stats.bytes_written > 0);
    let mut got = Vec::new();
    while got.len() < BIG_BYTES {
        other.write_all(b"ping").unwrap();
        assert_eq!(fixture.read(&mut other, 4), b"ping");
        read_some(&mut slow, &mut got, BIG_BYTES).unwrap();
    }
    assert!(got.iter().all(|&byte| byte == b'x'));
}

#[test]
fn a_turn_writes_no_more_than_its_budget_to_one_client() {
    let mut fixture = Fixture::new();
    let mut client = fixture.connect();
    client.write_all(b"big\n").unwrap();
    let (mut got, mut before) = (Vec::new(), 0);
    while got.len() < BIG_BYTES {
        fixture.turn();
        let written = fixture.event_loop.stats.bytes_written;
        assert!(written - before <= WRITE_BYTES_PER_TURN as u64);
        before = written;
        read_some(&mut client, &mut got, BIG_BYTES).unwrap();
    }
}

#[test]
fn early_replies_do_not_wait_for_the_commands_of_a_crowd() {
    let mut fixture = Fixture::new();
    let mut crowd: Vec<TcpStream> = (0..60).map(|_| fixture.connect()).collect();
    fixture.until(|echo| echo.clients.len() == 60);
    crowd.iter_mut().for_each(|client| client.write_all(b"busy").unwrap());
    fixture.turn();
    let served = fixture.echo.received_bytes / 4;
    assert!((16..60).contains(&served), "{served} served in one turn");
    assert_eq!(fixture.event_loop.stats.bytes_written as usize, served * 4);
    for client in &mut crowd {
        assert_eq!(fixture.read(client, 4), b"done");
    }
}

#[test]
fn what_a_phase_leaves_comes_first_in_the_next() {
    let tokens = |numbers: &[u32]| numbers.iter().map(|&number| Token(number)).collect::<Vec<_>>();
    let (mut batch, mut list) = (tokens(&[1, 2, 3, 4]), tokens(&[1]));
    put_back_rest(&mut batch, 2, &mut list);
    assert_eq!((batch, list), (tokens(&[]), tokens(&[3, 4, 1])));
}

#[test]
fn signals_are_events() {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGXFSZ};
    let mut fixture = Fixture::new();
    for number in [SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGXFSZ] {
        signal_hook::low_level::raise(number).unwrap();
    }
    fixture.until(|echo| echo.signals.len() >= 4);
    for signal in [Signal::Hangup, Signal::Interrupt, Signal::Terminate, Signal::User1] {
        assert!(fixture.echo.signals.contains(&signal));
    }
}
