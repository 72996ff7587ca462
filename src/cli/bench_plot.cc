#include "cli/bench_plot.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include <fmt/format.h>

namespace gallop::cli {
namespace {

constexpr size_t kMaxRows = 500;

constexpr size_t kMaxLabel = 120;  // characters

// Pixels.
constexpr double kCharacter = 6.8;  // of the labels' font, a little more than most take
constexpr double kLeast = 200;      // left of the bars
constexpr double kBars = 520;       // the longest bar
constexpr double kRight = 160;      // right of it, for its number
constexpr double kRowHeight = 26;
constexpr double kBarHeight = 16;
constexpr double kTitle = 64;      // above the first panel
constexpr double kPanelHead = 34;  // a panel's heading
constexpr double kPanelFoot = 52;  // its axis and the gap behind it

struct Panel {
  std::string chip;
  std::string measure;
  std::string unit;
  std::vector<BenchRow> rows;

  bool takes(const BenchRow& row) const {
    return row.chip == chip && row.measure == measure && row.unit == unit;
  }
};

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else if (byte < 0x20 || byte >= 0x7f) {
      out += '?';  // what is measured has names in ASCII
    } else {
      out += c;
    }
  }
  return out;
}

// In the order of their first rows.
std::vector<Panel> panels_of(const std::vector<BenchRow>& rows) {
  std::vector<Panel> panels;
  for (const BenchRow& row : rows) {
    auto panel = std::find_if(panels.begin(), panels.end(),
                              [&](const Panel& other) { return other.takes(row); });
    if (panel == panels.end()) {
      panels.push_back({row.chip, row.measure, row.unit, {}});
      panel = panels.end() - 1;
    }
    const auto same = std::find_if(panel->rows.begin(), panel->rows.end(),
                                   [&](const BenchRow& r) { return r.config == row.config; });
    if (same == panel->rows.end()) {
      panel->rows.push_back(row);
    } else {
      *same = row;
    }
  }
  return panels;
}

// 1, 2 or 5 times a power of ten, so that an axis up to `most` has four to ten steps.
double axis_step(double most) {
  const double rough = most / 5;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= rough * 0.75) return factor * power;
  }
  return 10 * power;
}

std::string number(double value) {
  if (value >= 10000 && value < 1e15) return fmt::format("{:.0f}", value);
  return fmt::format("{:.4g}", value);
}

// What stands left of a row's bar.
std::string label_of(const BenchRow& row) {
  const std::string label = row.config.empty() ? row.measure : row.config;
  return label.size() <= kMaxLabel ? label : label.substr(0, kMaxLabel - 3) + "...";
}

class Drawing {
 public:
  // `left`: where bars begin.
  explicit Drawing(double left) : left_(left) {}

  double left() const { return left_; }
  double width() const { return left_ + kBars + kRight; }
  void text(double x, double y, std::string_view style, std::string_view content) {
    body_ += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" class=\"{}\">{}</text>\n", x, y, style,
                         escaped(content));
  }
  void bar(double x, double y, double width, double height, std::string_view style) {
    body_ += fmt::format(
        "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" class=\"{}\"/>\n", x, y,
        width, height, style);
  }
  std::string document(double height) const {
    return fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" "
        "viewBox=\"0 0 {0:.0f} {1:.0f}\">\n<style>\n"
        "text {{ font-family: sans-serif; font-size: 13px; fill: #222; }}\n"
        ".title {{ font-size: 18px; font-weight: bold; }}\n"
        ".head {{ font-size: 14px; font-weight: bold; }}\n"
        ".right {{ text-anchor: end; }}\n"
        ".tick {{ text-anchor: middle; font-size: 11px; fill: #555; }}\n"
        ".value {{ fill: #4c78a8; }}\n.floor {{ fill: #d1495b; }}\n.grid {{ fill: #ddd; }}\n"
        "</style>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{2}</svg>\n",
        width(), height, body_);
  }

 private:
  double left_;
  std::string body_;
};

double largest(const Panel& panel) {
  double most = 0;
  for (const BenchRow& row : panel.rows) {
    most = std::max({most, row.value, row.floor.value_or(0)});
  }
  return most > 0 ? most : 1;
}

void draw_axis(Drawing& drawing, double most, double top, double rows_height,
               std::string_view unit) {
  constexpr int kMostTicks = 20;
  const double step = axis_step(most);
  for (int tick = 0; tick <= kMostTicks && tick * step <= most * 1.0001; ++tick) {
    const double x = drawing.left() + kBars * (tick * step / most);
    drawing.bar(x, top, 1, rows_height, "grid");
    drawing.text(x, top + rows_height + 15, "tick", number(tick * step));
  }
  drawing.text(drawing.left() + kBars / 2, top + rows_height + 31, "tick", unit);
}

void draw_row(Drawing& drawing, const BenchRow& row, double most, double top) {
  const double base = top + kRowHeight / 2 + 4;
  const double bar_top = top + (kRowHeight - kBarHeight) / 2;
  drawing.text(drawing.left() - 10, base, "right", label_of(row));
  drawing.bar(drawing.left(), bar_top, kBars * (row.value / most), kBarHeight, "value");
  double end = row.value;
  std::string label = number(row.value);
  if (row.floor) {
    drawing.bar(drawing.left() + kBars * (*row.floor / most) - 1.5, bar_top - 3, 3, kBarHeight + 6,
                "floor");
    end = std::max(end, *row.floor);
  }
  if (const std::optional<double> ratio = row.ratio()) {
    label += fmt::format("  ({:.2f}x floor)", *ratio);
  }
  drawing.text(drawing.left() + kBars * (end / most) + 8, base, "label", label);
}

// Gives the height it took.
double draw_panel(Drawing& drawing, const Panel& panel, double top) {
  const double rows_height = kRowHeight * static_cast<double>(panel.rows.size());
  const double most = largest(panel);
  drawing.text(16, top + 20, "head",
               fmt::format("{} on {}, {}", panel.measure, panel.chip,
                           panel.unit.ends_with("/s") ? "more is better" : "less is better"));
  draw_axis(drawing, most, top + kPanelHead, rows_height, panel.unit);
  for (size_t i = 0; i < panel.rows.size(); ++i) {
    draw_row(drawing, panel.rows[i], most, top + kPanelHead + kRowHeight * static_cast<double>(i));
  }
  return kPanelHead + rows_height + kPanelFoot;
}

}  // namespace

Result<std::string> plot_rows(const std::vector<BenchRow>& rows) {
  if (rows.empty()) return Error{"there is no row to draw"};
  const std::vector<Panel> panels = panels_of(rows);
  size_t drawn = 0;
  double left = kLeast;
  for (const Panel& panel : panels) {
    drawn += panel.rows.size();
    for (const BenchRow& row : panel.rows) {
      left = std::max(left, 26 + kCharacter * static_cast<double>(label_of(row).size()));
    }
  }
  if (drawn > kMaxRows) {
    return Error{fmt::format("{} rows are too many for one picture: at most {}", drawn, kMaxRows),
                 ErrorCode::kTooLarge};
  }
  Drawing drawing(left);
  drawing.text(16, 30, "title", "gallop: measured speed and its floor");
  drawing.bar(16, 42, 14, 10, "value");
  drawing.text(36, 52, "label", "measured");
  drawing.bar(118, 39, 3, 16, "floor");
  drawing.text(128, 52, "label", "floor of this machine");
  drawing.text(drawing.width() - 16, 30, "right",
               fmt::format("{} to {}", rows.front().date, rows.back().date));
  double top = kTitle;
  for (const Panel& panel : panels) top += draw_panel(drawing, panel, top);
  return drawing.document(top);
}

}  // namespace gallop::cli
