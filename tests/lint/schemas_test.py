#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The JSON schemas are schemas."""

import json
import os
import pathlib
import sys

import jsonschema


def main():
    bad = 0
    files = sorted((pathlib.Path(os.environ["MILLRACE_TREE"]) / "docs/schema").glob("*.json"))
    for path in files:
        try:
            schema = json.loads(path.read_text())
            jsonschema.validators.validator_for(schema).check_schema(schema)
        except (ValueError, jsonschema.SchemaError) as error:
            print(f"{path.name}: {error}")
            bad += 1
    print(f"{len(files)} schemas")
    return 1 if bad or not files else 0


sys.exit(main())
