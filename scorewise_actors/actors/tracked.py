"""The base of the actors below ``resilience``: a message keeps the correlation id of its sender while it is handled."""

from typing import Any

from scorewise_actors.correlation import Tracked, correlation
from scorewise_actors.events import EventHub, EventType, ResilienceEvent, Severity
from scorewise_actors.messages.resilience import Ping
from supervisors.thread_actor import ThreadActor


class TrackedActor(ThreadActor):
    """Hands each message to ``handle`` under the correlation id that it came with. Tells events at the tree's hub."""

    component = "resilience"

    def __init__(self, events: EventHub) -> None:
        super().__init__()
        self.events = events

    def on_receive(self, message: Any) -> Any:
        match message:
            case Tracked(Ping()):
                return True
            case Tracked(inner, None):
                return self.handle(inner)
            case Tracked(inner, given):
                with correlation(given):
                    return self.handle(inner)
        return self.handle(message)

    def handle(self, message: Any) -> Any:
        """Handle one message. The default refuses it."""
        return super().on_receive(message)

    def emit(self, kind: EventType, job_id: str | None = None, severity: Severity = Severity.LOW, **data: Any) -> None:
        """Tell an event, under the correlation id in force."""
        self.events.emit(ResilienceEvent(self.path, kind, self.component, job_id, severity, data))
