# SPDX-License-Identifier: Apache-2.0
"""The fuzz targets, for all who go through them."""

# The targets, with the variants of the allocator that each links. docs/fuzzing.md says what they look for.
TARGETS = {
    "differential": [
        "direct_small",
        "box_small",
    ],
    "faults": [
        "direct_small",
        "box_small",
    ],
    "large": [
        "direct",
        "box",
    ],
    "misuse": [
        "direct_small",
        "box_small",
    ],
    "options": [
        "direct_small",
        "box_small",
    ],
    "size_class": [
        "direct_small",
        "box_small",
        "direct",
        "box",
    ],
    "threads": [
        "direct_small_yields",
        "box_small_yields",
    ],
}
