"""The outcome as tables in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any


def as_markdown(rows: Sequence[dict[str, Any]]) -> str:
    """One table of rankings beside the prior, one of strategies, and the means."""
    lines = [
        "| target | fine-tuned, best first | ranking | regret@1 / @3 | tau | prior | regret@1 / @3 "
        "| tau | cost |",
        "|---|---|---|--:|--:|---|--:|--:|--:|",
    ]
    for row in rows:
        truth = sorted(row["truth"].items(), key=lambda pair: -pair[1])
        values = ", ".join(f"{name} {value:.3f}" for name, value in truth)
        cells = [row["target"], values]
        for who in ("order", "prior"):
            key = "ranking" if who == "order" else who
            regret = row["regret"][key]
            cells += [", ".join(row[who]), f"{regret[1]:.1f} / {regret[3]:.1f}"]
            cells.append(f"{row['tau'][key]:.2f}")
        cells.append(f"{row['cost']:.1%}")
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "| target | grid on the source ranked first | auto | lead over the grid's best |"]
    lines.append("|---|---|---|--:|")
    for row in rows:
        grid = ", ".join(f"{name} {value:.3f}" for name, value in row["grid"].items())
        lead = 100 * (row["auto"] - max(row["grid"].values()))
        chosen = f"{row['auto']:.3f} ({row['auto by']})"
        lines.append(f"| {row['target']} | {grid} | {chosen} | {lead:+.1f} |")
    means = {who: fmean(row["regret"][who][1] for row in rows) for who in ("ranking", "prior")}
    lines += [
        "",
        f"Mean regret@1: ranking {means['ranking']:.2f} points, prior {means['prior']:.2f}. "
        f"Highest regret@3: ranking {max(row['regret']['ranking'][3] for row in rows):.1f}, "
        f"prior {max(row['regret']['prior'][3] for row in rows):.1f}. "
        f"Cost of ranking over fine-tuning all, the highest: {max(r['cost'] for r in rows):.1%}. "
        f"Random networks above trained ones: {sum(len(row['random above']) for row in rows)}.",
    ]
    return "\n".join(lines)
