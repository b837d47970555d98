#include "modules/dcos/metrics.hpp"

namespace opsd::dcos {
namespace {

using telemetry::Kind;
using telemetry::Page;

template <class Number>
void single(Page& page, std::string_view name, Kind kind, std::string_view help, Number value)
{
    page.family(name, kind, help);
    page.sample({}, static_cast<double>(value));
}

}  // namespace

void write_metrics(const Core& core, Page& page)
{
    const auto& c = core.counters;
    page.family("opsd_dcos_questions_total", Kind::counter,
                "Questions of clients that were handed on, by whom to.");
    page.sample({{"to", "mesos"}}, static_cast<double>(c.to_mesos));
    page.sample({{"to", "agent"}}, static_cast<double>(c.to_agents));
    page.sample({{"to", "marathon"}}, static_cast<double>(c.to_marathon));
    single(page, "opsd_dcos_answering", Kind::gauge,
           "Questions being handed on, dcos.mesos.concurrent at most.", core.places);
    single(page, "opsd_dcos_refused_total", Kind::counter,
           "Questions refused because dcos.mesos.concurrent were being handed on.", c.refused);
    single(page, "opsd_dcos_unanswered_total", Kind::counter,
           "Questions that got no answer that can be passed on.", c.failed);
    single(page, "opsd_dcos_torn_answers_total", Kind::counter,
           "Answers that broke off, were larger than dcos.mesos.max_answer, or fell silent.", c.torn);
    single(page, "opsd_dcos_forbidden_calls_total", Kind::counter,
           "Calls of the Mesos operator API refused because they do more than read.", c.forbidden);
    single(page, "opsd_dcos_bytes_total", Kind::counter, "Bytes of answers passed on.", c.bytes);
    single(page, "opsd_dcos_secrets_total", Kind::counter,
           "Passwords taken out of addresses in these answers.", c.secrets);
    if (!core.reachable) return;
    single(page, "opsd_dcos_mesos_reachable", Kind::gauge, "1 when the leading Mesos master answered last.",
           *core.reachable ? 1 : 0);
}

}  // namespace opsd::dcos
