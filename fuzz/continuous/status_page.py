#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The status as a page, made of status.json alone."""

import html
import json


def render(status):
    return "<!DOCTYPE html><meta charset=utf-8><title>Fuzzing</title><pre>%s</pre>\n" % html.escape(
        json.dumps(status, indent=1))
