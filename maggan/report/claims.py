"""The paper's claims in words, each split into atoms: supported, contradicted, undecided, not measurable or not run.

`python -m maggan.claims PROFILE` judges all of them; docs/claims.md says how a verdict comes about.
"""

import json
from collections import Counter
from collections.abc import Callable
from math import inf, log
from typing import NamedTuple

from ..basics import paths
from ..variants import VARIANTS, discriminator_rows
from .atoms import VERDICTS, WOULD, Comparison, Raters, Unasked, judge_atoms, row_name
from .quantities import farther, mean_over, metric, quotient
from .runs import Runs

HAIR = ("Bald", "Bangs", "Black_Hair", "Blond_Hair", "Brown_Hair")
NEARLY = 0.10  # "hardly matters", "leaves as it is": the ratio is within a tenth of 1
ABOUT = 0.25  # "to about": within a quarter of the paper's ratio
POINT = 0.01  # of accuracy: what "stays" may lose
FAILS = 0.10  # of accuracy: what "fails" loses more than
DECIBELS = 2.0  # of reconstruction, gained at least
BESIDE = "beyond the reconstruction's own error"  # what mre_excess measures
SHARPNESS = ("the seam score, gradient energy on the rim of the mask, measures sharpness: blending moves it toward the "
             "true edit's, so that a higher one is no seam")  # fmt: skip


def lower(row, other, key, by=0.0):
    """That a metric of one row is below another's; of one compared by difference, by more than `by`."""
    says = f"{key}: {row_name(row)} < {row_name(other)}{more(-by)}"
    return Comparison(says, metric(key), row, other, -inf, -by)


def higher(row, other, key, by=0.0):
    """That a metric of one row is above another's; of one compared by difference, by more than `by`."""
    says = f"{key}: {row_name(row)} > {row_name(other)}{more(by)}"
    return Comparison(says, metric(key), row, other, by, inf)


def near(row, other, key, ratio, margin):
    """That the ratio of two rows' metric is within a part `margin` of `ratio`."""
    low, high = ratio * (1 - margin), ratio * (1 + margin)
    says = f"{key}: {row_name(row)} / {row_name(other)} between {low:.4g} and {high:.4g}"
    return Comparison(says, metric(key), row, other, log(low), log(high))


def more(by):
    """What is added to the second row's number before the first's is compared with it, in words."""
    return f" {'-' if by < 0 else '+'} {abs(by):g}" if by else ""


def beside(atoms):
    """Atoms about MRE, and after each the same of mre_excess, which does not decide."""
    return [each for atom in atoms for each in (atom, atom._replace(
        says=f"{BESIDE}, {atom.says.replace('mre', 'mre_excess', 1)}", quantity=metric("mre_excess"), decides=False,
    ))]  # fmt: skip


def cycle(runs):
    lost = [lower("stgan-cycle", "stgan", key) for key in ("accuracy_1.5", "psnr")]
    return lost + beside([near("stgan-cycle", "stgan", "mre", 1.0, NEARLY)])


def hats(runs):
    edges = {"with_hat": (-inf, 0.0), "without_hat": (-POINT, inf)}
    says = {"with_hat": "maggan < stgan", "without_hat": f"maggan > stgan{more(-POINT)}"}
    return [Comparison(f"accuracy_1.5_{hat} on hair: {says[hat]}", mean_over(HAIR, f"accuracy_1.5_{hat}"), "maggan",
                       "stgan", *edge) for hat, edge in edges.items()]  # fmt: skip


def sizes(runs):
    steps = [(1, 2)] + [(2, 4)] * runs.has("maggan", 4)  # the paper's three sizes, as far as they were run
    return [atom for small, large in steps for atom in (
        lower(("maggan", large), ("maggan", small), "mre"),
        *(higher(("maggan", large), ("maggan", small), key) for key in ("psnr", "ssim")),
    )]  # fmt: skip


def stgan_beats_attgan(runs):
    factor = 0.5 if runs.has("attgan", 0.5) else 1  # the paper compares them at half the size of Table 3
    rows = ("stgan", factor), ("attgan", factor)
    return beside([lower(*rows, "mre")]) + [higher(*rows, key) for key in ("accuracy_1.5", "psnr", "ssim")]


def order_of_accuracy(runs):
    low, middle, high = ("icgan", "fadernet"), ("stargan", "attgan"), ("stgan", "maggan")
    pairs = [(a, b) for a in low for b in middle + high] + [(a, b) for a in middle for b in high]
    return [lower(a, b, "accuracy_1.5") for a, b in pairs]


def sooner(runs):
    single, several = discriminators(runs)
    says = {0.5: "halfway through the training", 1: "at its end"}
    return of_discriminators(runs, [
        Comparison(f"accuracy_1.5 {when}: {several} > {single}", metric("accuracy_1.5", share), several, single, 0.0,
                   inf) for share, when in says.items()
    ])  # fmt: skip


def one_scale_fails_on_male(runs):
    single, several = discriminators(runs)
    says = f"accuracy_1.5 on Male: {single} < {several}{more(-FAILS)}"
    male = mean_over(("Male",), "accuracy_1.5")
    return of_discriminators(runs, [Comparison(says, male, single, several, -inf, -FAILS)])


def discriminators(runs):
    """The rows with one shallow and with multi-level discriminators."""
    rows = discriminator_rows(runs.profile)
    return rows["single"], rows["multilevel"]


def of_discriminators(runs, atoms):
    """The atoms, where the profile is large enough that the two differ."""
    single, several = discriminators(runs)
    reason = f"at {runs.profile.size} px one discriminator is the multi-level ones, P = 1 (docs/readings.md)"
    return atoms if single != several else [Unasked(atom.says, reason) for atom in atoms]


def blending(runs):
    """That MRE falls is arithmetic, M (1 - M) being below M; that seams are seen is not."""
    fall = Comparison("maggan: mre_blended / mre < 1", quotient("mre_blended", "mre"), "maggan", None, -inf, 0.0)
    says = "maggan: the seam score of blended edits is farther from the true edits' than that of plain ones"
    run = next(iter(runs.results.seeds.get("maggan", {0: {"metrics": {}}}).values()))
    if {"seam_excess", "seam_excess_blended"} <= set(run["metrics"]):
        away = farther("seam_excess_blended", "seam_excess")
        return [fall, Comparison(says, away, "maggan", None, 0.0, inf)]
    return [fall, Unasked("blending adds visible seams", SHARPNESS)]


class Claim(NamedTuple):
    """What the paper says, its numbers, and the atoms of it, given a profile's Runs."""

    says: str
    paper: str
    atoms: Callable


CLAIMS = (
    Claim("L_mre lowers MRE", "0.0289 against 0.0530", lambda runs: beside([lower("stgan-mre", "stgan", "mre")])),
    Claim("mask-guided conditioning alone lowers MRE", "0.0397 against 0.0530",
          lambda runs: beside([lower("maggan-no-mre", "stgan", "mre")])),
    Claim("both together are lowest", "0.0163 against 0.0289 and 0.0397",
          lambda runs: beside([lower("maggan", each, "mre") for each in ("stgan-mre", "maggan-no-mre")])),
    Claim("MRE falls to about 31 % of STGAN's", "0.0163 / 0.0530",
          lambda runs: beside([near("maggan", "stgan", "mre", 0.31, ABOUT)])),
    Claim("SPADE hardly matters to MRE", "0.0161 without, 0.0163 with",
          lambda runs: beside([near("maggan-no-spade", "maggan", "mre", 1.0, NEARLY)])),
    Claim("accuracy stays within a point of STGAN's", "90.0 against 90.4",
          lambda runs: [higher("maggan", "stgan", "accuracy_1.5", -POINT)]),
    Claim("reconstruction gains 2 dB or more, SSIM too", "40.25 against 37.61 dB, 0.984 against 0.959",
          lambda runs: [higher("maggan", "stgan", "psnr", DECIBELS), higher("maggan", "stgan", "ssim")]),
    Claim("the segmentation branch is worse in MRE and FID", "0.0612 against 0.0163, 2.39 against 1.10",
          lambda runs: [*beside([higher("maggan-seg", "maggan", "mre")]), higher("maggan-seg", "maggan", "fid")]),
    Claim("cycle consistency lowers accuracy and PSNR and leaves MRE", "87.3 against 90.4, 36.14 against 37.61, 0.0530",
          cycle),
    Claim("MagGAN has the best FID of Table 3", "1.10",
          lambda runs: [lower("maggan", other, "fid") for other in VARIANTS if other != "maggan"]),
    Claim("hats cost MagGAN accuracy on hair, against STGAN; without a hat nothing is lost", "Fig. 7", hats),
    Claim("MRE falls, PSNR and SSIM rise with the size", "0.0163, 0.0141, 0.0130 at 256, 512, 1024 px", sizes),
    Claim("STGAN beats AttGAN in MRE, accuracy, PSNR and SSIM", "0.0627 against 0.0713, 85.8 against 64.9",
          stgan_beats_attgan),
    Claim("IcGAN and FaderNet have the lowest accuracy, STGAN and MagGAN the highest", "Fig. 6", order_of_accuracy),
    Claim("multi-level discriminators reach higher accuracy sooner", "Fig. 9, at 1024 px", sooner),
    Claim("raters prefer MagGAN, more so with hats", "55.7 % against 41.5 %, with hats 59.2 % against 37.7 %",
          lambda runs: [Raters("people prefer maggan in more than half of the pairs they decide", hats=False),
                        Raters("more often on faces with a hat than without", hats=True)]),
    Claim("blending lowers MRE further and adds visible seams", "section 3.3", blending),
    Claim("one discriminator of the whole image fails on Male", "Fig. 9, at 1024 px", one_scale_fails_on_male),
)  # fmt: skip


def judge(results):
    """All claims on a profile's results: a list of {number, claim, verdict, decided_by, paper, atoms}.

    verdict is one of VERDICTS; atoms are those of `judge_atoms`, and decided_by is what those say that give the claim
    its verdict. Holm's correction runs over the atoms of all claims.
    """
    runs = Runs(results)
    asked = [claim.atoms(runs) for claim in CLAIMS]
    lines = iter(judge_atoms([atom for atoms in asked for atom in atoms], runs))
    judged = []
    for number, (claim, atoms) in enumerate(zip(CLAIMS, asked, strict=True), 1):
        found = [next(lines) for _ in atoms]
        said, by = verdict(found)
        judged.append({"number": number, "claim": claim.says, "verdict": said, "decided_by": by, "paper": claim.paper,
                       "atoms": found})  # fmt: skip
    return judged


def verdict(atoms):
    """A claim's verdict and the atoms that give it it: any contradicted one, else the weakest of those that decide."""
    deciding = [atom for atom in atoms if atom["decides"]]
    found = {atom["verdict"] for atom in deciding}
    said = "contradicted" if "contradicted" in found else max(found, key=VERDICTS.index)
    return said, [atom["says"] for atom in deciding if atom["verdict"] == said]


def counted(judged):
    """How many claims have each verdict, {verdict: number}, in the order of VERDICTS."""
    counts = Counter(each["verdict"] for each in judged)
    return {said: counts[said] for said in VERDICTS if counts[said]}


# as text --------------------------------------------------------------------------------------------------------


def write_claims(results):
    """Write results/<profile>/tables/claims.{json,md}; returns the Markdown file."""
    profile, judged = results.profile, judge(results)
    paths.write_text(paths.table_file("claims", profile, "json"), json.dumps(judged, indent=1) + "\n")
    return paths.write_text(paths.table_file("claims", profile), as_markdown(results, judged))


def as_markdown(results, judged):
    """The verdicts as Markdown: how many there are of each, then a line a claim with a line an atom below it."""
    profile = results.profile
    note = f"{profile.name}: {profile.note}. " if profile.note else ""
    counts = ", ".join(f"{count} {said}" for said, count in counted(judged).items())
    lines = [f"**{counts}.** {note}Faces of {profile.size} px.", ""]
    undecided = [each for each in judged if each["verdict"] == "undecided"]
    lines += ["What would decide the undecided claims:", ""] * bool(undecided)
    lines += [f"- claim {each['number']}: {hardest(each)}" for each in undecided] + [""] * bool(undecided)
    lines += [
        "In brackets 95 % over training seeds and test faces. All rows share one deviation of seeds, from those with "
        f"several: {results.several or 'none'}. A verdict must hold after Holm's correction over all atoms, which "
        "asks for more than one interval does.", "",
    ]  # fmt: skip
    for each in judged:
        lines.append(f"{each['number']}. **{each['claim']}: {each['verdict']}** (the paper: {each['paper']})")
        lines += [f"   - {atom_line(atom)}" for atom in each["atoms"]]
    return "\n".join(lines) + "\n"


def atom_line(atom):
    """An atom in a line: its verdict, what it says, its numbers and seeds, what is missing or would decide."""
    said = f"{atom['verdict']}{'' if atom['decides'] else ' (does not decide)'}: {atom['says']}"
    return said + "".join(f"; {atom[part]}" for part in ("numbers", "why") if atom[part])


def hardest(claim):
    """What would decide a claim that is undecided, in a few words: what most of its undecided atoms need at most."""
    atoms = [atom for atom in claim["atoms"] if atom["verdict"] == "undecided" and atom["decides"]]
    seeds = [atom["seeds_needed"] for atom in atoms if atom["seeds_needed"]]
    others = [atom["why"].removeprefix(WOULD) for atom in atoms if not atom["seeds_needed"]]
    return "; ".join([f"about {max(seeds, default=0)} seeds a row"] * bool(seeds) + [*dict.fromkeys(others)])
