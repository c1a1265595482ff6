"""What people give as a backbone of the hub, what comes of it and what they read: a case is a line of the table.

Cases that follow one another share a cache, as the commands of a day do.
"""

from dataclasses import dataclass

from tests.hub.server import STRANGER, TOKEN

SITE = "https://huggingface.co"
SERVED, REFUSED = "served", "refused"
OFFLINE, NOBODY, GATEWAY = "offline", "nobody", "gateway"  # no network is asked, none answers, something else does


@dataclass(frozen=True)
class Case:
    """`said` is what a person reads after `model.backbone=…: ` where it is refused, else what the hub was asked for."""

    name: str
    given: str  # model.backbone= and what goes with it
    outcome: str
    said: str
    family: str = "ce"
    token: str = ""
    network: str = ""


def gated(name: str) -> str:
    return f"is gated; accept its licence at {SITE}/{name}, then hf auth login"


def parts(number: int) -> str:
    return ", ".join(f"model-{at:05}-of-{number:05}.safetensors" for at in range(1, number + 1))


TOKENIZER = "tokenizer.json, tokenizer_config.json"
SPECIAL = f"special_tokens_map.json, {TOKENIZER}"
WHOLE = f"config.json, model.safetensors, {SPECIAL}"
PLAIN = f"config.json, model.safetensors, {TOKENIZER}"
ELECTRA = f"config.json, pytorch_model.bin, {TOKENIZER}, vocab.txt"
INDEX = "model.safetensors.index.json"
LLAMA, ELECTRAS = "model.backbone=meta-llama/", "model.backbone=google/electra-"
UNKNOWN = "neither a local folder nor a repository the hub shows; is it misspelt? If it is private, hf auth login"
MEMBERS = (
    Case("small llm", "model.backbone=Qwen/Qwen3-0.6B", SERVED,
         f"config.json, merges.txt, model.safetensors, {TOKENIZER}, vocab.json", "llm"),
    Case("small llm_b, not logged in", f"{LLAMA}Llama-3.2-1B", REFUSED, gated("meta-llama/Llama-3.2-1B"), "llm"),
    Case("small llm_b, licence accepted", f"{LLAMA}Llama-3.2-1B", SERVED,
         WHOLE, "llm", TOKEN),
    Case("small ce", "model.backbone=answerdotai/ModernBERT-base", SERVED,
         WHOLE),
    Case("small ce_b: pickled weights alone", f"{ELECTRAS}base-discriminator", SERVED, ELECTRA),
    Case("paper llm, logged in as one who did not accept", "model.backbone=google/gemma-2-2b", REFUSED,
         gated("google/gemma-2-2b"), "llm", STRANGER),
    Case("paper llm, licence accepted: in 3 parts", "model.backbone=google/gemma-2-2b", SERVED,
         f"config.json, {parts(3)}, {INDEX}, tokenizer.json, tokenizer.model, tokenizer_config.json", "llm", TOKEN),
    Case("paper llm_b, licence accepted: in 4 parts", f"{LLAMA}Meta-Llama-3-8B", SERVED,
         f"config.json, {parts(4)}, {INDEX}, {SPECIAL}", "llm", TOKEN),
    Case("paper ce", "model.backbone=answerdotai/ModernBERT-large", SERVED, WHOLE),
    Case("paper ce_b: pickled weights alone", f"{ELECTRAS}large-discriminator", SERVED, ELECTRA),
)  # fmt: skip
FORMATS = (
    Case("pickled weights, a tokenizer of sentencepiece", "model.backbone=microsoft/deberta-v3-base", SERVED,
         "config.json, pytorch_model.bin, spm.model, tokenizer_config.json"),
    Case("a tokenizer of tiktoken", "model.backbone=org/tiktoken", SERVED,
         "config.json, model.safetensors, tiktoken.model, tokenizer_config.json", "llm"),
    Case("consolidated weights, exports, checkpoints, scripts", "model.backbone=org/crowded", SERVED, PLAIN),
    Case("the same, its code trusted", "model.backbone=org/crowded model.trust_remote_code=true", SERVED, "train.py"),
    Case("a pickle that would run something", "model.backbone=org/evil", REFUSED,
         "pytorch_model.bin holds more than tensors and is not read, for it could run anything; where you trust it, "
         "convert it to safetensors yourself"),
    Case("no weights that can be read", "model.backbone=org/tensorflow", REFUSED,
         "no weights that can be read (there are: flax_model.msgpack, tf_model.h5); it needs model.safetensors or "
         "pytorch_model.bin, or their parts and index"),
    Case("an index that names a missing part", "model.backbone=org/missing-part", REFUSED,
         f"{INDEX} names model-00002-of-00003.safetensors: not there; fetch the whole of it again"),
    Case("weights that are cut short", "model.backbone=org/torn", REFUSED,
         "model.safetensors is no whole safetensors file (Error while deserializing header: incomplete metadata, file "
         "not fully covered); fetch it again"),
    Case("a pointer of Git LFS", "model.backbone=org/pointer", REFUSED,
         "model.safetensors is a pointer of Git LFS, not the file; git lfs pull in its folder"),
    Case("no files of a tokenizer", "model.backbone=org/wordless", REFUSED,
         "its tokenizer knows 0 of 13 common words; put the files of the tokenizer it was trained with into its folder "
         "(tokenizer.json, vocab.txt or a .model file)"),
    Case("an adapter", "model.backbone=org/adapter", REFUSED,
         "is an adapter of meta-llama/Llama-3.2-1B and no backbone; give model.backbone=meta-llama/Llama-3.2-1B",
         "llm"),
    Case("sentence-transformers, in a sub-folder", "model.backbone=org/sentences", REFUSED,
         "is of sentence-transformers, which keeps the backbone in 0_Transformer; give "
         "model.backbone=FOLDER/0_Transformer"),
    Case("GGUF files alone", "model.backbone=org/tiny-gguf", REFUSED,
         "holds GGUF files alone; fetch one and give model.backbone=FILE, as tiny-q4_k_m.gguf", "llm"),
    Case("a decoder as model=ce", "model.backbone=org/tiny", REFUSED, "qwen3 is a decoder; use model=llm or llm_b"),
)  # fmt: skip
REVISIONS = (
    Case("no revision: main", "model.backbone=org/tiny", SERVED, "nothing", "llm"),  # the case above fetched it
    Case("a tag", "model.backbone=org/tiny@v1", SERVED, "model.safetensors", "llm"),
    Case("a branch", "model.backbone=org/tiny model.revision=next/big", SERVED, "model.safetensors", "llm"),
    Case("no such revision", "model.backbone=org/tiny@v9", REFUSED,
         f"has no branch, tag or commit v9; choose one of {SITE}/org/tiny/tree/main", "llm"),
    Case("two revisions", "model.backbone=org/tiny@v1 model.revision=main", REFUSED,
         "names two revisions; leave one out", "llm"),
    Case("a revision of what has none", "model.backbone=embedded:llm model.revision=main", REFUSED,
         "only a hub id has revisions; leave model.revision out", "llm"),
)  # fmt: skip
DOORS = (
    Case("misspelt", "model.backbone=org/tinny", REFUSED, UNKNOWN),
    Case("private, not logged in", "model.backbone=org/private", REFUSED, UNKNOWN, "llm"),
    Case("private, logged in as another", "model.backbone=org/private", REFUSED, UNKNOWN, "llm", STRANGER),
    Case("private, logged in", "model.backbone=org/private", SERVED, PLAIN, "llm", TOKEN),
    Case("a token that is no longer valid", "model.backbone=org/tiny", REFUSED,
         "the hub answers 401 (Invalid credentials in Authorization header); hf auth login with a token that may read "
         "it",
         "llm", "hf_old"),
    Case("disabled by the hub", "model.backbone=org/disabled", REFUSED,
         f"is disabled on the hub ({SITE}/org/disabled); give another"),
    Case("no hub id", "model.backbone=org/team/tiny", REFUSED, "neither a local folder nor a hub id (org/name)"),
)  # fmt: skip
WEATHER = (
    Case("429 twice, then an answer", "model.backbone=org/busy", SERVED, PLAIN, "llm"),
    Case("429, to come back in an hour", "model.backbone=org/tomorrow", REFUSED,
         "the hub answers 429 (Too Many Requests) at try 1 of 5; give the same command again in 3600 s", "llm"),
    Case("503 without end", "model.backbone=org/down", REFUSED,
         "the hub answers 503 (Service Unavailable) at try 5 of 5; give the same command again", "llm"),
    Case("a connection cut in the middle of the weights", "model.backbone=org/cut", SERVED,
         f"{PLAIN}; resumed", "llm"),
    Case("a connection cut again and again", "model.backbone=org/cut-off", REFUSED,
         "the connection to the hub was cut (peer closed connection without sending complete message body); give "
         "the same command again", "llm"),
    Case("no network", "model.backbone=org/new", REFUSED,
         "neither a local folder nor available from NOBODY, which cannot be reached; look at the network, or give a "
         "local folder", "llm", network=NOBODY),
    Case("no network, but in the cache", "model.backbone=org/tiny", SERVED, "nothing", "llm", network=NOBODY),
    Case("HF_HUB_OFFLINE=1, not in the cache", "model.backbone=org/new", REFUSED,
         "neither a local folder nor, at main, whole in the cache, and HF_HUB_OFFLINE=1; fetch it once with a network",
         "llm", network=OFFLINE),
    Case("HF_HUB_OFFLINE=1, in the cache", "model.backbone=org/tiny", SERVED, "nothing", "llm", network=OFFLINE),
    Case("HF_HUB_OFFLINE=1, a tag in the cache", "model.backbone=org/tiny@v1", SERVED, "nothing", "llm",
         network=OFFLINE),
    Case("HF_ENDPOINT is something else", "model.backbone=org/new", REFUSED,
         "HUB does not answer as a hub; look at HF_ENDPOINT and at proxies", "llm", network=GATEWAY),
)  # fmt: skip
CASES = (*MEMBERS, *FORMATS, *REVISIONS, *DOORS, *WEATHER)
