"""What the paper printed: Tables 2 and 3, and the numbers of its text, as data."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "BOGUS_A_REAL",
    "CROSSING",
    "NETWORKS",
    "OPERATIONAL",
    "TABLE_2",
    "TABLE_3",
    "TRIO",
    "Printed",
]


@dataclass(frozen=True)
class Printed:
    """One printed row of results at threshold 0.5.

    Parameters
    ----------
    specificity, recall, precision, f1 : float
        Per cent.
    auc : float
        Area under the ROC curve.
    """

    specificity: float
    recall: float
    precision: float
    f1: float
    auc: float


#: Table 2 by the name of the architecture, best AUC first; names and sizes are those of `architectures.facts`.
TABLE_2: dict[str, Printed] = {
    "resnet50": Printed(99.70, 91.74, 83.96, 87.68, 0.9948),
    "resnet18": Printed(99.70, 91.40, 83.92, 87.50, 0.9948),
    "resnet34": Printed(99.69, 91.40, 83.41, 87.22, 0.9946),
    "efficientnet_b0": Printed(94.09, 98.68, 22.14, 36.16, 0.9932),
    "efficientnet_b2": Printed(94.64, 98.18, 23.78, 38.29, 0.9929),
    "densenet121": Printed(98.66, 94.55, 54.58, 69.21, 0.9928),
    "efficientnet_b1": Printed(93.98, 98.68, 21.82, 35.74, 0.9926),
    "densenet169": Printed(98.60, 94.71, 53.55, 68.42, 0.9926),
    "vgg11": Printed(97.46, 92.07, 38.18, 53.97, 0.9903),
    "unireplknet_a": Printed(98.36, 90.25, 48.40, 63.01, 0.9883),
    "vit_tiny": Printed(91.45, 94.05, 15.77, 27.02, 0.9736),
    "shufflenetv2_x0_5": Printed(99.64, 12.89, 38.05, 19.26, 0.7597),
    "repvgg_a0": Printed(94.05, 26.12, 6.95, 10.98, 0.5616),
}

#: The thirteen, in the order of Table 2.
NETWORKS: tuple[str, ...] = tuple(TABLE_2)

#: The three that are bagged.
TRIO: tuple[str, ...] = ("resnet18", "efficientnet_b0", "densenet121")

#: Table 3 by the set of members.
TABLE_3: dict[frozenset[str], Printed] = {
    frozenset(members): Printed(*values)
    for members, values in (
        (("resnet18",), (99.85, 91.90, 91.00, 91.45, 0.9951)),
        (("efficientnet_b0",), (94.00, 98.35, 21.82, 35.71, 0.9928)),
        (("densenet121",), (98.76, 94.38, 56.48, 70.67, 0.9926)),
        (("densenet121", "efficientnet_b0"), (96.99, 96.03, 35.21, 51.53, 0.9938)),
        (("efficientnet_b0", "resnet18"), (98.33, 95.04, 49.23, 64.86, 0.9953)),
        (("densenet121", "resnet18"), (99.30, 94.54, 69.76, 80.28, 0.9955)),
        (("densenet121", "efficientnet_b0", "resnet18"), (99.25, 95.37, 68.45, 79.70, 0.9961)),
    )
}

#: Threshold at which precision equals recall, and their value there (section 4.2.2).
CROSSING = (0.798, 0.922)

#: The 5,000 samples of operation, people's verdict as truth: TP, FP, FN, TN (figure 7).
OPERATIONAL = (68, 9, 6, 4917)

#: Bogus for each real in the paper's set, and so on every side of its split (section 2.2.2).
BOGUS_A_REAL = 177_696 / 3_000
