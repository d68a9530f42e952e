"""Filters below the router of targets whose credential can be renewed: they see each attempt, not each call.

The first attempt carries what authz put there. Authz is asked again only about a 401, and about the heads of what
the router then sends a second time, and of the answer to that; any other attempt passes without it.
"""

from __future__ import annotations

from envoy.config.common.mutation_rules.v3.mutation_rules_pb2 import HeaderMutation as Mutation
from envoy.config.common.mutation_rules.v3.mutation_rules_pb2 import HeaderMutationRules
from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.config.core.v3.grpc_service_pb2 import GrpcService
from envoy.extensions.common.matching.v3.extension_matcher_pb2 import ExtensionWithMatcher
from envoy.extensions.filters.common.matcher.action.v3.skip_action_pb2 import SkipFilter
from envoy.extensions.filters.http.ext_proc.v3.ext_proc_pb2 import ExternalProcessor, MetadataOptions
from envoy.extensions.filters.http.ext_proc.v3.processing_mode_pb2 import ProcessingMode
from envoy.extensions.filters.http.header_mutation.v3.header_mutation_pb2 import HeaderMutation, Mutations
from envoy.extensions.filters.http.upstream_codec.v3.upstream_codec_pb2 import UpstreamCodec
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import HttpFilter
from envoy.type.matcher.v3.http_inputs_pb2 import HttpRequestHeaderMatchInput, HttpResponseHeaderMatchInput
from envoy.type.v3.http_status_pb2 import HttpStatus, StatusCode
from google.protobuf.any import pack
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.wrappers_pb2 import BoolValue
from xds.core.v3.extension_pb2 import TypedExtensionConfig as MatcherConfig
from xds.type.matcher.v3.matcher_pb2 import Matcher

from countersign.envoy.guard import AUTHZ_FILTER

RENEWAL_TIMEOUT_S = 10.0
"""Authz waits eight seconds for whoever gives a credential."""

_ATTEMPTS = "x-envoy-attempt-count"
_SEND, _SKIP = ProcessingMode.HeaderSendMode.SEND, ProcessingMode.HeaderSendMode.SKIP
_YES = BoolValue(value=True)


def renewal_filters(authz: GrpcService) -> list[HttpFilter]:
    """Return the filters of a cluster, whose last is the codec; ``authz`` is asked."""
    refused = HttpResponseHeaderMatchInput(header_name=":status")
    second = HttpRequestHeaderMatchInput(header_name=_ATTEMPTS)
    untold = Mutations(request_mutations=[Mutation(remove=_ATTEMPTS)])
    return [
        _only("countersign.refused", refused, "401", _asking(authz, _SKIP, _SEND)),
        _only("countersign.renewed", second, "2", _asking(authz, _SEND, _SEND)),
        # How often we try is not the target's to know.
        HttpFilter(name="envoy.filters.http.header_mutation", typed_config=pack(HeaderMutation(mutations=untold))),
        HttpFilter(name="envoy.filters.http.upstream_codec", typed_config=pack(UpstreamCodec())),
    ]


def _only(name: str, what: Message, value: str, then: ExternalProcessor) -> HttpFilter:
    """Skip ``then`` unless what is looked at is ``value``."""
    looked_at = Matcher.MatcherList.Predicate.SinglePredicate(
        input=MatcherConfig(name=name, typed_config=pack(what)), value_match={"exact": value}
    )
    differs = Matcher.MatcherList.Predicate(not_matcher=Matcher.MatcherList.Predicate(single_predicate=looked_at))
    skip = Matcher.OnMatch(action=MatcherConfig(name="skip", typed_config=pack(SkipFilter())))
    matcher = Matcher(
        matcher_list=Matcher.MatcherList(matchers=[Matcher.MatcherList.FieldMatcher(predicate=differs, on_match=skip)])
    )
    wrapped = ExtensionWithMatcher(
        xds_matcher=matcher,
        extension_config=TypedExtensionConfig(name="envoy.filters.http.ext_proc", typed_config=pack(then)),
    )
    return HttpFilter(name=name, typed_config=pack(wrapped))


def _asking(authz: GrpcService, requests: int, responses: int) -> ExternalProcessor:
    timeout = Duration(seconds=int(RENEWAL_TIMEOUT_S))
    return ExternalProcessor(
        grpc_service=authz,
        failure_mode_allow=False,
        status_on_error=HttpStatus(code=StatusCode.BadGateway),
        processing_mode=ProcessingMode(
            request_header_mode=requests,
            response_header_mode=responses,
            request_trailer_mode=_SKIP,
            response_trailer_mode=_SKIP,
        ),
        metadata_options=MetadataOptions(
            forwarding_namespaces=MetadataOptions.MetadataNamespaces(untyped=[AUTHZ_FILTER])
        ),
        message_timeout=timeout,
        max_message_timeout=timeout,
        mutation_rules=HeaderMutationRules(allow_all_routing=_YES, disallow_is_error=_YES),
    )
