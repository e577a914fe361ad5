"""JSON Schemas that bring a compiler of grammars to its knees."""

from __future__ import annotations

#: keeps the compiler busy for minutes
MINUTES = {"allOf": [{"type": "string", "pattern": f".*{i}.*"} for i in range(2000)]}
#: a thousand definitions, one leading to the next: the compiler's stack overflows
FAR = {
    "$defs": {
        f"d{i}": {
            "type": "object",
            "properties": {f"p{j}": {"$ref": f"#/$defs/d{(i * 7 + j) % 1000}"} for j in range(10)},
        }
        for i in range(1000)
    },
    "$ref": "#/$defs/d0",
}
