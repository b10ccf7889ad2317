//! How `top` looks: figures and the chart of requests above, then the nodes of a proxy, commands, slow log and clients.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::Line;
use ratatui::widgets::{Block, Paragraph, Sparkline};

use super::sample::{NodeUsage, View};

/// Columns of one figure: name and value.
const FIGURE_WIDTH: usize = 26;
/// Rows of the figures, borders included.
const FIGURES_HEIGHT: u16 = 7;
const CHART_HEIGHT: u16 = 6;

/// Draws all of it, as much as fits.
pub fn draw(frame: &mut Frame<'_>, view: &View) {
    let rows = Layout::vertical([
        Constraint::Length(FIGURES_HEIGHT),
        Constraint::Length(CHART_HEIGHT),
        Constraint::Length(nodes_height(view).min(frame.area().height / 3)),
        Constraint::Fill(1),
        Constraint::Fill(1),
    ]);
    let [figures, chart, nodes, middle, clients] = rows.areas(frame.area());
    draw_lines(
        frame,
        figures,
        &format!(" {}   q ends ", view.address),
        figure_lines(view, figures.width),
    );
    draw_chart(frame, chart, view);
    if !view.nodes.is_empty() {
        draw_lines(frame, nodes, " nodes ", node_lines(view));
    }
    let [commands, slow] =
        Layout::horizontal([Constraint::Percentage(40), Constraint::Percentage(60)]).areas(middle);
    draw_lines(frame, commands, " commands ", command_lines(view));
    draw_lines(frame, slow, " slow log ", slow_lines(view));
    let shown = view.clients.iter().map(|client| Line::raw(client.as_str())).collect();
    draw_lines(frame, clients, " clients ", shown);
}

fn draw_lines(frame: &mut Frame<'_>, area: Rect, title: &str, lines: Vec<Line<'_>>) {
    let block =
        Block::bordered().title(title.to_owned()).border_style(Style::new().fg(Color::DarkGray));
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

/// As many figures side by side as the width holds.
fn figure_lines(view: &View, width: u16) -> Vec<Line<'_>> {
    let per_line = (usize::from(width.saturating_sub(2)) / FIGURE_WIDTH).max(1);
    let figure = |(name, value): &(&str, String)| {
        [format!("{name:>12} ").dark_gray(), format!("{value:<13}").bold()]
    };
    view.figures.chunks(per_line).map(|figures| figures.iter().flat_map(figure).collect()).collect()
}

/// The newest samples, at the right end.
fn draw_chart(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let width = usize::from(area.width.saturating_sub(2));
    let shown = view.history.len().min(width);
    let mut samples = vec![0; width - shown];
    samples.extend(view.history.iter().skip(view.history.len() - shown));
    let highest = samples.iter().max().copied().unwrap_or(0);
    let block = Block::bordered()
        .title(format!(" requests per second, at most {highest} "))
        .border_style(Style::new().fg(Color::DarkGray));
    frame.render_widget(Sparkline::default().data(&samples).fg(Color::Green).block(block), area);
}

/// Rows of the nodes with borders and header; 0 if there are none.
fn nodes_height(view: &View) -> u16 {
    match view.nodes.len() {
        0 => 0,
        nodes => u16::try_from(nodes).unwrap_or(u16::MAX).saturating_add(3),
    }
}

/// What matters most comes first: a narrow terminal shows no more.
fn node_lines(view: &View) -> Vec<Line<'_>> {
    let header = format!(
        "{:<22} {:<11} {:>10} {:>8} {:>9} {:>9} {:>8} {:>9} {:>6}  {}",
        "node",
        "state",
        "per second",
        "us each",
        "in flight",
        "errors/s",
        "errors",
        "99 % us",
        "slots",
        "role"
    );
    let line = |node: &NodeUsage| {
        let decimals =
            |figure: Option<f64>| figure.map_or("-".to_owned(), |figure| format!("{figure:.1}"));
        let line = Line::from(format!(
            "{:<22} {:<11} {:>10} {:>8} {:>9} {:>9} {:>8} {:>9} {:>6}  {}",
            node.address,
            node.state,
            node.per_second.map_or("-".to_owned(), |rate| format!("{rate:.0}")),
            decimals(node.us_per_reply),
            node.queue,
            decimals(node.errors_per_second),
            node.errors,
            node.p99_us,
            node.slots,
            node.role,
        ));
        match node {
            node if node.is_down() => line.red(),
            node if node.errors_per_second.is_some_and(|rate| rate > 0.0) => line.yellow(),
            _ => line,
        }
    };
    std::iter::once(Line::from(header).dark_gray()).chain(view.nodes.iter().map(line)).collect()
}

fn command_lines(view: &View) -> Vec<Line<'_>> {
    let header =
        Line::from(format!("{:<16} {:>10} {:>9}", "", "per second", "us each")).dark_gray();
    let lines = view.commands.iter().map(|usage| {
        Line::raw(format!(
            "{:<16} {:>10.0} {:>9.1}",
            usage.name, usage.per_second, usage.us_per_call
        ))
    });
    std::iter::once(header).chain(lines).collect()
}

fn slow_lines(view: &View) -> Vec<Line<'_>> {
    let line = |(us, command): &(i64, String)| {
        Line::raw(format!("{:>9.1} ms  {command}", *us as f64 / 1000.0))
    };
    view.slow.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    fn drawn(view: &View, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, view)).unwrap();
        terminal.backend().to_string()
    }

    fn view() -> View {
        let mut view = View::new("h:1".to_owned());
        view.figures = vec![("keys", "12".to_owned()), ("role", "master".to_owned())];
        view.history.extend([1, 500, 20]);
        view.slow.push((12_500, "KEYS *".to_owned()));
        view.clients.push("1.2.3.4:5".to_owned());
        view
    }

    #[test]
    fn everything_is_on_the_screen() {
        let screen = drawn(&view(), 100, 30);
        for text in ["h:1", "keys 12", "role master", "at most 500", "12.5 ms  KEYS *", "1.2.3.4:5"]
        {
            assert!(screen.contains(text), "{text} is missing in\n{screen}");
        }
    }

    #[test]
    fn the_nodes_of_a_proxy_have_a_place_of_their_own() {
        let mut view = view();
        assert!(!drawn(&view, 100, 30).contains("nodes"));
        view.nodes.push(NodeUsage {
            address: "10.0.0.5:6379".to_owned(),
            state: "connected".to_owned(),
            per_second: Some(1234.4),
            us_per_reply: Some(85.25),
            queue: 17,
            ..NodeUsage::default()
        });
        let screen = drawn(&view, 80, 30);
        for text in
            ["nodes", "10.0.0.5:6379          connected         1234     85.2        17         -"]
        {
            assert!(screen.contains(text), "{text} is missing in\n{screen}");
        }
        view.nodes = std::iter::repeat_with(NodeUsage::default).take(1000).collect();
        drawn(&view, 20, 5);
        assert!(drawn(&view, 100, 40).contains("clients"));
    }

    #[test]
    fn a_screen_of_any_size_is_drawn() {
        for (width, height) in [(1, 1), (3, 2), (20, 5), (300, 100)] {
            drawn(&view(), width, height);
        }
    }
}
