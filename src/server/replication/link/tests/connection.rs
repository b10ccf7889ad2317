//! Links that are not made, or not at once.

use super::*;

#[test]
fn r24_a_master_that_is_not_there_is_tried_once_a_second() {
    let mut replica = Replica::new();
    for _ in 0..5 {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        replica.redis.lose(replica.token, Disconnect::Failed(refused));
        let mut waited_ms = 0;
        while replica.redis.actions.connect.is_empty() {
            replica.redis.advance_ms(100);
            waited_ms += 100;
        }
        assert_eq!(waited_ms, 1000);
        replica.token = replica.redis.actions.connect[0].token;
    }
    // One that hangs is given up after repl-timeout, and so is a name that is not found.
    replica.run("CONFIG SET repl-timeout 10").is("+OK");
    replica.redis.advance_ms(10_100);
    assert!(replica.logged("Timeout connecting to the MASTER..."));
    replica.run("REPLICAOF nowhere.invalid 1").is("+OK");
    replica.redis.advance_ms(100);
    assert!(replica.logged("Unable to connect to MASTER: Name or service not known"));
}

#[test]
fn a_silent_master_is_given_up() {
    let mut replica = Replica::synced(&[]);
    replica.redis.advance_ms(59_000);
    assert!(replica.is_up());
    replica.redis.advance_ms(2_000);
    assert!(!replica.is_up() && replica.logged("MASTER timeout: no data nor PING received..."));
}

#[test]
fn r25_a_wrong_password_is_in_the_log() {
    let mut replica = Replica::with(|config| config.masterauth = b"wrong".to_vec());
    replica.redis.establish(replica.token);
    let sent = replica.hear(b"-NOAUTH Authentication required.\r\n");
    assert!(text(&sent).starts_with("*2 $4 AUTH $5 wrong *3 $8 REPLCONF"));
    replica.hear(b"-WRONGPASS invalid username-password pair or user is disabled.\r\n");
    assert!(!replica.is_up());
    assert!(replica.logged("Unable to AUTH to MASTER: -WRONGPASS invalid"));
}

#[test]
fn a_master_may_go_on_under_another_name() {
    let mut replica = Replica::synced(&["SET a 1"]);
    replica.lose();
    assert!(replica.connect_again().ends_with("1001"));
    let other = ReplId::parse(&[b'b'; 40]).unwrap();
    replica.hear(format!("+CONTINUE {other}\r\n").as_bytes());
    assert!(replica.is_up());
    let state = &replica.redis.server.state.replication;
    assert_eq!((state.history.replid, state.history.replid2), (other, history()));
    assert_eq!(state.history.second_offset, 1001);
}

#[test]
fn a_master_that_is_not_ready_is_asked_again() {
    for answer in
        ["-NOMASTERLINK Can't SYNC while not connected with my master\r\n", "-LOADING x\r\n"]
    {
        let mut replica = Replica::synced(&["SET a 1"]);
        replica.lose();
        replica.connect_again();
        replica.hear(answer.as_bytes());
        assert!(!replica.is_up());
        assert!(replica.connect_again().ends_with("1001"), "and the history still counts");
    }
}
