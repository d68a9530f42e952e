"""Which targets' requests masker is asked about on their way: Envoy is told so, and both sides rely on it."""

from __future__ import annotations

from countersign.config.types import GatewayConfig, Target
from countersign.model.glob import GlobSet
from countersign.model.rule import Effect


def may_wait(config: GatewayConfig, target: Target) -> bool:
    """Whether a rule in force may have calls of this target wait for humans."""
    asking = (Effect.APPROVE, Effect.BREAK_GLASS)
    chosen = [rule.selector.targets for rule in config.rules if rule.effect in asking and not rule.shadow]
    return any(globs is None or GlobSet(globs).matches(target.name) for globs in chosen)


def changes_requests(config: GatewayConfig, target: Target) -> bool:
    """Whether requests for this target may have to be changed on their way.

    Tokens may have to be turned back for any target; what is masked is said for each. Whoever waited for humans, or was
    handed a sealed state, comes back with what is not for the target.
    """
    said_of_it = target.seal_states or bool(target.mask_request.mask)
    return said_of_it or may_wait(config, target) or any(rule.unmask_for for rule in config.rules)
