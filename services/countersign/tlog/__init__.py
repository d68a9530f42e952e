"""Transparency logs: trees, tiles, proofs, signed notes and checkpoints, as RFC 6962 and C2SP describe them. Pure.

- Trees: ``leaf_hash``; ``Frontier`` (append, root), ``root_of``; ``grow`` makes tiles out of tiles (``edge_tiles``).
- Proofs: ``plan_inclusion``, ``plan_consistency`` and ``plan_root`` say which ``tiles`` they need, so that a store
  fetches them in one statement, and ``make`` the hashes of them; ``verify_inclusion``, ``verify_consistency``.
- Files of a log (tlog-tiles): ``tile_path``, ``entries_path``, ``parse_path``, ``all_tiles``, ``all_bundles``,
  ``encode_entries``, ``decode_entries``.
- Keys and notes: ``parse_signer``, ``parse_verifier``, ``SignerKey``, ``VerifierKey``; ``sign_note``, ``cosign``,
  ``parse_note``, ``parse_signatures``.
- Checkpoints: ``Checkpoint``, ``sign_checkpoint``, ``open_checkpoint``; ``parse_policy`` and ``TrustPolicy.open`` say
  what an auditor believes.

Bad input raises ``TlogError`` and what is below it, nothing else.
"""

from countersign.tlog.checkpoints import (
    Checkpoint,
    SignedCheckpoint,
    open_checkpoint,
    parse_checkpoint,
    read_unverified,
    sign_checkpoint,
)
from countersign.tlog.encoding import HASH_BYTES, MAX_SIZE, from_base64, hash_from_base64, parse_number, to_base64
from countersign.tlog.errors import (
    BadCheckpoint,
    BadEncoding,
    BadKey,
    BadNote,
    BadPolicy,
    BadProof,
    BadSignature,
    BadTile,
    NotTrusted,
    QuorumNotMet,
    TlogError,
)
from countersign.tlog.hashing import EMPTY_ROOT, leaf_hash, node_hash, perfect_root, split_hashes
from countersign.tlog.keys import SEED_BYTES, KeyKind, SignerKey, VerifierKey, check_name, parse_signer, parse_verifier
from countersign.tlog.notes import (
    Note,
    Signature,
    Signed,
    check_signature,
    cosign,
    parse_note,
    parse_signatures,
    sign_note,
)
from countersign.tlog.policy import Cosigned, Group, Trusted, TrustPolicy, parse_policy, write_policy
from countersign.tlog.proofs import (
    Plan,
    plan_consistency,
    plan_inclusion,
    plan_root,
    root_from_inclusion,
    verify_consistency,
    verify_inclusion,
)
from countersign.tlog.ranges import Frontier, fold, perfect_subtrees, root_of
from countersign.tlog.tiles import (
    MAX_ENTRY_BYTES,
    TILE_HEIGHT,
    TILE_WIDTH,
    Grown,
    TileId,
    TilePath,
    all_bundles,
    all_tiles,
    decode_entries,
    edge_tiles,
    encode_entries,
    entries_path,
    grow,
    parse_path,
    tile_path,
    tile_width,
)

__all__ = [
    "EMPTY_ROOT",
    "HASH_BYTES",
    "MAX_ENTRY_BYTES",
    "MAX_SIZE",
    "SEED_BYTES",
    "TILE_HEIGHT",
    "TILE_WIDTH",
    "BadCheckpoint",
    "BadEncoding",
    "BadKey",
    "BadNote",
    "BadPolicy",
    "BadProof",
    "BadSignature",
    "BadTile",
    "Checkpoint",
    "Cosigned",
    "Frontier",
    "Group",
    "Grown",
    "KeyKind",
    "NotTrusted",
    "Note",
    "Plan",
    "QuorumNotMet",
    "Signature",
    "Signed",
    "SignedCheckpoint",
    "SignerKey",
    "TileId",
    "TilePath",
    "TlogError",
    "TrustPolicy",
    "Trusted",
    "VerifierKey",
    "all_bundles",
    "all_tiles",
    "check_name",
    "check_signature",
    "cosign",
    "decode_entries",
    "edge_tiles",
    "encode_entries",
    "entries_path",
    "fold",
    "from_base64",
    "grow",
    "hash_from_base64",
    "leaf_hash",
    "node_hash",
    "open_checkpoint",
    "parse_checkpoint",
    "parse_note",
    "parse_number",
    "parse_path",
    "parse_policy",
    "parse_signatures",
    "parse_signer",
    "parse_verifier",
    "perfect_root",
    "perfect_subtrees",
    "plan_consistency",
    "plan_inclusion",
    "plan_root",
    "read_unverified",
    "root_from_inclusion",
    "root_of",
    "sign_checkpoint",
    "sign_note",
    "split_hashes",
    "tile_path",
    "tile_width",
    "to_base64",
    "verify_consistency",
    "verify_inclusion",
    "write_policy",
]
