//! `LOLWUT`: a picture, and the version. Ours is an elementary cellular automaton, drawn in Braille dots.

use rand::RngExt as _;

use crate::commands::table::*;
use crate::commands::{Command, CommandError, CommandResult, Ctx};
use crate::resp::Args;
use crate::resp::number::parse_i64;
use crate::version::REDIS_VERSION;

/// The row of `LOLWUT`.
pub const LOLWUT: Command = command("lolwut", Arity::AtLeast(1), READ.and(FAST), &[], lolwut).docs(
    "5.0.0",
    "[VERSION version]",
    "",
    "Displays computer art and the server version.",
);

/// Rules whose pictures are worth looking at.
const RULES: [u8; 8] = [18, 30, 45, 60, 90, 105, 110, 150];
/// Size of the picture in characters.
const COLUMNS: usize = 66;
const ROWS: usize = 16;
/// A Braille character holds this many dots side by side, and one below the other.
const DOTS_ACROSS: usize = 2;
const DOTS_DOWN: usize = 4;

/// `LOLWUT [VERSION version]` -> a picture. Any version shows the same gallery.
fn lolwut(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    if args.len() >= 3 && args.bytes(1).eq_ignore_ascii_case(b"version") {
        parse_i64(args.bytes(2)).ok_or(CommandError::NotAnInteger)?;
    }
    let rule = RULES[ctx.server.random.random_range(0..RULES.len())];
    let seeds: u8 = ctx.server.random.random_range(0..3);
    let first = (0..COLUMNS * DOTS_ACROSS).map(|cell| match seeds {
        0 => cell == COLUMNS,
        _ => ctx.server.random.random_range(0..24) == 0,
    });
    let mut text = draw(rule, first.collect());
    text.push_str(&format!(
        "\nStephen Wolfram - elementary cellular automaton, rule {rule}, 1983. Redis ver. {REDIS_VERSION}\n"
    ));
    ctx.reply.verbatim("txt", text.as_bytes());
    Ok(())
}

/// The picture of a rule: each line of cells follows from the one above it.
fn draw(rule: u8, mut cells: Vec<bool>) -> String {
    let mut text = String::new();
    for _ in 0..ROWS {
        let mut line = [0u8; COLUMNS];
        for down in 0..DOTS_DOWN {
            for (across, _) in cells.iter().enumerate().filter(|(_, alive)| **alive) {
                line[across / DOTS_ACROSS] |= dot(across % DOTS_ACROSS, down);
            }
            cells = next_generation(rule, &cells);
        }
        text.extend(line.iter().map(|&dots| braille(dots)));
        text.push('\n');
    }
    text
}

/// A cell lives if the rule has the bit that its three parents make. The line is a ring.
fn next_generation(rule: u8, cells: &[bool]) -> Vec<bool> {
    let alive = |index: usize| u8::from(cells[index % cells.len()]);
    (0..cells.len())
        .map(|index| {
            let parents =
                alive(index + cells.len() - 1) << 2 | alive(index) << 1 | alive(index + 1);
            rule >> parents & 1 == 1
        })
        .collect()
}

/// The bit of a dot in a Braille character: six dots were numbered first, the lowest row came later.
fn dot(across: usize, down: usize) -> u8 {
    const BITS: [[u8; DOTS_DOWN]; DOTS_ACROSS] = [[0, 1, 2, 6], [3, 4, 5, 7]];
    1 << BITS[across][down]
}

fn braille(dots: u8) -> char {
    char::from_u32(0x2800 + u32::from(dots)).expect("the Braille block has 256 characters")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::testing::TestServer;

    #[test]
    fn a_picture_ends_with_the_version() {
        let mut redis = TestServer::new();
        for line in ["LOLWUT", "LOLWUT VERSION 5 1 2 3", "lolwut version 42"] {
            let picture = redis.run(line).0;
            assert!(picture.ends_with(&format!("Redis ver. {REDIS_VERSION}\n")), "{picture}");
            assert_eq!(picture.lines().count(), ROWS + 2, "{picture}");
        }
        redis.run("LOLWUT VERSION x").is("-ERR value is not an integer or out of range");
    }

    #[test]
    fn rule_90_draws_a_triangle() {
        let mut cells = vec![false; 9];
        cells[4] = true;
        cells = next_generation(90, &cells);
        assert_eq!(
            cells.iter().map(|&c| u8::from(c)).collect::<Vec<_>>(),
            [0, 0, 0, 1, 0, 1, 0, 0, 0]
        );
        cells = next_generation(90, &cells);
        assert_eq!(
            cells.iter().map(|&c| u8::from(c)).collect::<Vec<_>>(),
            [0, 0, 1, 0, 0, 0, 1, 0, 0]
        );
    }

    #[test]
    fn dots_make_braille() {
        assert_eq!(braille(dot(0, 0) | dot(1, 3)), '⢁');
        assert_eq!(braille(0xff), '⣿');
    }
}
