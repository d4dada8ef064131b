"""Telling people by mail, chat or webhook: each matter once, and never at a night's cost."""

from nightglass.alerting.audience import Audience, audience_of
from nightglass.alerting.delivery import deliver
from nightglass.alerting.message import Alert, Link
from nightglass.alerting.telling import tell, tell_recovery

__all__ = ["Alert", "Audience", "Link", "audience_of", "deliver", "tell", "tell_recovery"]
