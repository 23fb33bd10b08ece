//! Latencies by level as SVG: a bar from the median to the 99th percentile, a line up to the 99.9th,
//! a colour for each case, and a logarithmic scale.

use std::fmt::Write as _;

use super::consistency::Run;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 420.0;
/// Room for the scale's words, the title, and the levels' names with the cases' below them.
const LEFT: f64 = 74.0;
const TOP: f64 = 48.0;
const RIGHT: f64 = 20.0;
const BOTTOM: f64 = 76.0;
const BAR: f64 = 34.0;
/// Told apart by people who see red and green alike, too.
const COLOURS: [&str; 4] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"];

/// The picture of `runs`, with the levels from left to right.
pub fn draw(title: &str, levels: &[&str], runs: &[Run]) -> String {
    let mut cases: Vec<&str> = Vec::new();
    for run in runs {
        if !cases.contains(&run.case.as_str()) {
            cases.push(&run.case);
        }
    }
    let scale = Scale::of(runs);
    let mut svg = String::new();
    let _ = writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"26\" font-size=\"16\">{}</text>",
        escaped(title)
    );
    scale.draw(&mut svg);
    let step = (WIDTH - LEFT - RIGHT) / levels.len().max(1) as f64;
    for (at, level) in levels.iter().enumerate() {
        let middle = LEFT + step * (at as f64 + 0.5);
        let y = HEIGHT - BOTTOM + 22.0;
        let _ = writeln!(
            svg,
            "<text x=\"{middle:.1}\" y=\"{y}\" text-anchor=\"middle\">{}</text>",
            escaped(level)
        );
        for run in runs.iter().filter(|run| run.level == *level) {
            let case = cases.iter().position(|case| *case == run.case).unwrap_or_default();
            let from_middle = (case as f64 - (cases.len() as f64 - 1.0) / 2.0) * (BAR + 14.0);
            bar(&mut svg, &scale, middle + from_middle, COLOURS[case % COLOURS.len()], run);
        }
    }
    legend(&mut svg, &cases);
    svg.push_str("</svg>\n");
    svg
}

fn bar(svg: &mut String, scale: &Scale, x: f64, colour: &str, run: &Run) {
    let latency = run.latency_us;
    let (p50, p99, p999) = (scale.y(latency.p50), scale.y(latency.p99), scale.y(latency.p999));
    let left = x - BAR / 2.0;
    let _ = writeln!(
        svg,
        "<g fill=\"{colour}\" stroke=\"{colour}\"><line x1=\"{x:.1}\" y1=\"{p999:.1}\" \
         x2=\"{x:.1}\" y2=\"{p99:.1}\" stroke-width=\"2\"/><rect x=\"{left:.1}\" y=\"{p99:.1}\" \
         width=\"{BAR}\" height=\"{:.1}\" fill-opacity=\"0.35\"/><line x1=\"{left:.1}\" \
         y1=\"{p50:.1}\" x2=\"{:.1}\" y2=\"{p50:.1}\" stroke-width=\"3\"/></g>",
        (p50 - p99).max(1.0),
        left + BAR,
    );
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{:.1}\" font-size=\"11\" text-anchor=\"middle\">{}</text>",
        p50 + 14.0,
        milliseconds(latency.p50 as f64),
    );
}

fn legend(svg: &mut String, cases: &[&str]) {
    let y = HEIGHT - 24.0;
    let mut x = LEFT;
    for (at, case) in cases.iter().enumerate() {
        let colour = COLOURS[at % COLOURS.len()];
        let _ = writeln!(
            svg,
            "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"12\" height=\"12\" fill=\"{colour}\"/>\
             <text x=\"{:.1}\" y=\"{y:.1}\">{}</text>",
            y - 11.0,
            x + 18.0,
            escaped(case),
        );
        x += 40.0 + 7.5 * case.chars().count() as f64;
    }
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" font-size=\"11\" fill=\"#555\" text-anchor=\"end\">\
         thick line: median (ms) · bar: up to p99 · thin line: up to p99.9</text>",
        WIDTH - RIGHT,
        HEIGHT - 6.0,
    );
}

/// Powers of ten that hold all that is drawn.
struct Scale {
    lowest: i32,
    highest: i32,
}

impl Scale {
    fn of(runs: &[Run]) -> Scale {
        let lowest = runs.iter().map(|run| run.latency_us.p50.max(1)).min().unwrap_or(1);
        let highest = runs.iter().map(|run| run.latency_us.p999.max(1)).max().unwrap_or(10);
        let lowest = (lowest as f64).log10().floor() as i32;
        let highest = ((highest as f64).log10().ceil() as i32).max(lowest + 1);
        Scale { lowest, highest }
    }

    /// Where `us` microseconds are.
    fn y(&self, us: u64) -> f64 {
        let whole = f64::from(self.highest - self.lowest);
        let part = ((us.max(1) as f64).log10() - f64::from(self.lowest)) / whole;
        HEIGHT - BOTTOM - part.clamp(0.0, 1.0) * (HEIGHT - TOP - BOTTOM)
    }

    fn draw(&self, svg: &mut String) {
        for power in self.lowest..=self.highest {
            for part in [1, 2, 5] {
                let us = f64::from(part) * 10f64.powi(power);
                if power == self.highest && part > 1 {
                    continue;
                }
                let y = self.y(us as u64);
                let colour = if part == 1 { "#bbb" } else { "#e6e6e6" };
                let _ = writeln!(
                    svg,
                    "<line x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{:.1}\" y2=\"{y:.1}\" \
                     stroke=\"{colour}\"/><text x=\"{:.1}\" y=\"{:.1}\" font-size=\"11\" \
                     fill=\"#555\" text-anchor=\"end\">{} ms</text>",
                    WIDTH - RIGHT,
                    LEFT - 6.0,
                    y + 4.0,
                    milliseconds(us),
                );
            }
        }
    }
}

fn milliseconds(us: f64) -> String {
    let ms = us / 1000.0;
    let text = match ms {
        ms if ms >= 10.0 => format!("{ms:.0}"),
        ms if ms >= 1.0 => format!("{ms:.1}"),
        ms => format!("{ms:.2}"),
    };
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::figures::Latency;

    fn run(case: &str, level: &str, p50: u64) -> Run {
        let latency_us =
            Latency { mean: 0.0, p50, p90: 2 * p50, p99: 3 * p50, p999: 9 * p50, max: 10 * p50 };
        Run { case: case.to_owned(), level: level.to_owned(), per_second: 1.0, latency_us }
    }

    #[test]
    fn every_level_and_case_is_drawn_and_no_name_breaks_it() {
        let runs =
            [run("calm", "primary", 200), run("calm", "all", 300), run("a<b&c", "all", 9000)];
        let svg = draw("PUT <4 KiB>", &["primary", "quorum", "all"], &runs);
        assert_eq!(svg.matches("fill-opacity").count(), 3);
        assert!(svg.contains("a&lt;b&amp;c") && svg.contains("PUT &lt;4 KiB&gt;"));
        for level in ["primary", "quorum", "all"] {
            assert!(svg.contains(&format!(">{level}</text>")));
        }
        let scale = Scale::of(&runs);
        assert!(scale.y(200) > scale.y(300) && scale.y(300) > scale.y(81_000));
        assert_eq!(scale.y(100), HEIGHT - BOTTOM);
        assert_eq!(scale.y(100_000), TOP);
    }

    #[test]
    fn nothing_measured_is_drawn_as_nothing() {
        assert!(draw("", &[], &[]).ends_with("</svg>\n"));
    }

    #[test]
    fn milliseconds_are_short() {
        let all = [20.0, 1000.0, 1500.0, 200_000.0].map(milliseconds);
        assert_eq!(all, ["0.02", "1", "1.5", "200"]);
    }
}
