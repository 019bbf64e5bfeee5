#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes Vega-Lite's JavaScript, with everything it needs, into one file that works offline.

Usage: PYTHONPATH=.deps/python python3 scripts/make-vega-bundle.py OUTPUT.js
"""

import sys
from pathlib import Path

import vl_convert

Path(sys.argv[1]).write_text(vl_convert.javascript_bundle(), encoding="utf-8")
