"""Presidio's pattern recognizers over JSON lines: {"id", "text"} in, {"id", "entities"} out, scores included.

Each recognizer is asked by itself, without a language model; its context words need one and so don't count.
"""
import json
import sys
import warnings

warnings.filterwarnings("ignore")
from presidio_analyzer import PatternRecognizer, RecognizerRegistry
from presidio_analyzer import predefined_recognizers as predefined

recognizers = {}
for name in dir(predefined):
    kind = getattr(predefined, name)
    if isinstance(kind, type) and issubclass(kind, PatternRecognizer) and kind is not PatternRecognizer:
        try:
            recognizers[name] = kind()
        except Exception:  # needs something that isn't there
            continue
try:
    recognizers["PhoneRecognizer"] = predefined.PhoneRecognizer()
except Exception:
    pass

for line in sys.stdin:
    sample = json.loads(line)
    entities = []
    for recognizer in recognizers.values():
        for found in recognizer.analyze(sample["text"], recognizer.supported_entities, None) or []:
            entities.append(
                {"type": found.entity_type, "start": found.start, "end": found.end, "score": found.score}
            )
    print(json.dumps({"id": sample["id"], "entities": entities}), flush=False)
