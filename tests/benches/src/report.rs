//! What was measured, as a table for people and as JSON.

use std::fmt::Write;
use std::time::Duration;

/// One gateway, one direction, behind one server.
pub struct Row {
    pub gateway: &'static str,
    pub server: &'static str,
    pub direction: &'static str,
    /// With as many messages under way as the gateway is given at a time.
    pub saturated: Load,
    /// At the calm rate.
    pub calm: Load,
    /// Bytes after both.
    pub resident: u64,
}

/// One measurement.
#[derive(Clone, Copy, Default)]
pub struct Load {
    pub per_second: f64,
    /// Of the gateway alone, per message.
    pub cpu: Duration,
    pub p50: Duration,
    pub p99: Duration,
    pub sent: usize,
    pub lost: usize,
    pub refused: usize,
    pub contradicted: usize,
}

/// A figure of its own.
pub struct Figure {
    pub name: String,
    pub value: f64,
    pub unit: &'static str,
    pub remark: String,
}

/// All of a run.
#[derive(Default)]
pub struct Report {
    pub rows: Vec<Row>,
    pub figures: Vec<Figure>,
}

impl Report {
    /// In Markdown.
    pub fn table(&self) -> String {
        let mut out = String::from(
            "| gateway | server | direction | messages/s | CPU µs saturated | CPU µs calm | p50 ms | p99 ms | lost | given back | resident MB |\n\
             | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
        );
        for row in &self.rows {
            let (saturated, calm) = (&row.saturated, &row.calm);
            // Writing into a String cannot fail.
            let _ = writeln!(
                out,
                "| {} | {} | {} | {:.0} | {:.1} | {:.1} | {:.3} | {:.3} | {} of {} | {} | {:.1} |",
                row.gateway,
                row.server,
                row.direction,
                saturated.per_second,
                micros(saturated.cpu),
                micros(calm.cpu),
                micros(calm.p50) / 1000.0,
                micros(calm.p99) / 1000.0,
                saturated.lost + calm.lost,
                saturated.sent + calm.sent,
                saturated.refused + calm.refused,
                row.resident as f64 / 1e6,
            );
        }
        if !self.figures.is_empty() {
            out.push_str("\n| what | figure | remark |\n| --- | --- | --- |\n");
        }
        for figure in &self.figures {
            let Figure {
                name,
                value,
                unit,
                remark,
            } = figure;
            let _ = writeln!(out, "| {name} | {value:.2} {unit} | {remark} |");
        }
        out
    }

    /// One object; durations in microseconds. Names hold nothing that would need an escape.
    pub fn json(&self) -> String {
        let rows = self.rows.iter().map(|row| {
            format!(
                r#"{{"gateway":"{}","server":"{}","direction":"{}","saturated":{},"calm":{},"resident":{}}}"#,
                row.gateway,
                row.server,
                row.direction,
                row.saturated.json(),
                row.calm.json(),
                row.resident
            )
        });
        let figures = self.figures.iter().map(|figure| {
            format!(
                r#"{{"name":"{}","value":{:.3},"unit":"{}","remark":"{}"}}"#,
                figure.name, figure.value, figure.unit, figure.remark
            )
        });
        let rows = rows.collect::<Vec<_>>().join(",\n  ");
        let figures = figures.collect::<Vec<_>>().join(",\n  ");
        format!("{{\"rows\":[\n  {rows}\n],\"figures\":[\n  {figures}\n]}}\n")
    }
}

impl Load {
    fn json(&self) -> String {
        format!(
            r#"{{"per_second":{:.1},"cpu":{:.2},"p50":{:.1},"p99":{:.1},"sent":{},"lost":{},"refused":{},"contradicted":{}}}"#,
            self.per_second,
            micros(self.cpu),
            micros(self.p50),
            micros(self.p99),
            self.sent,
            self.lost,
            self.refused,
            self.contradicted
        )
    }
}

/// A duration in microseconds.
pub fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}
