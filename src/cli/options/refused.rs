//! Options that people know from redis-cli or valkey-cli and that this client does not have.

/// Beginnings of their names, and what to do instead. The first that fits counts.
const REFUSED: &[(&str, &str)] = &[
    ("--cluster", "cluster management is left to redis-cli --cluster"),
    ("--keystats", "--bigkeys and --memkeys tell of keys"),
    ("--tls", TLS),
    ("--sni", TLS),
    ("--cacert", TLS),
    ("--cert", TLS),
    ("--key", TLS),
    ("--insecure", TLS),
    ("--lru-test", "it would write keys into the server: redis-benchmark does that"),
    (
        "--replica",
        "the commands of clients are shown by `client monitor`, the data is fetched by --rdb",
    ),
    (
        "--slave",
        "the commands of clients are shown by `client monitor`, the data is fetched by --rdb",
    ),
    ("--ldb", "there is no debugger for scripts"),
    ("--verbose", "there is nothing more to be told"),
    ("--mono", "NO_COLOR=1 in the environment turns colours off"),
    ("-4", "give the address instead of the name of the host"),
    ("-6", "give the address instead of the name of the host"),
];
const TLS: &str = "TLS is not supported: use a tunnel";

/// Why the option is refused, in one line without its value.
pub fn why(option: &str) -> String {
    let name = option.split_once('=').map_or(option, |(name, _)| name);
    match REFUSED.iter().find(|(beginning, _)| name.starts_with(beginning)) {
        Some((_, reason)) => format!("{name}: {reason}"),
        None => format!("unknown option {name}; `client --help` lists them"),
    }
}
