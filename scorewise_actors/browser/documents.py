"""The answer to a page's own document: status and headers of the last main-frame navigation, however it came about.

``goto`` hides the status when the body is empty, and a click or a redirect by script returns nothing at all. A public
``response`` listener would tell, but it makes the driver report *every* request of the page: 0.8 ms of CPU each. The
driver reports navigations without being asked, on the context's channel; so this listens there, and publicly only
where there is no such channel.
"""

from collections.abc import Callable, Mapping
from typing import Any

from playwright.async_api import BrowserContext, Page
from playwright.async_api import Error as PlaywrightError

Told = Callable[[int | None, Mapping[str, str]], None]


def watch_documents(context: BrowserContext, page: Callable[[], Page | None], told: Told) -> None:
    """Tell of main-frame navigations of ``page()``.

    ``told(None, {})`` when one starts, ``told(status, headers)`` at each answer; of redirects the last answer is the
    document's. Lasts as long as the context.
    """

    def answered(response: Any) -> None:
        if _is_document_of(page(), response.request):
            told(response.status, response.headers)

    def began(request: Any) -> None:
        if _is_document_of(page(), request):
            told(None, {})

    channel: Any = getattr(getattr(context, "_impl_obj", None), "_channel", None)
    if hasattr(channel, "on"):
        channel.on("response", lambda event: answered(event["response"]._object))
        channel.on("request", lambda event: began(event["request"]._object))
    else:
        context.on("response", answered)
        context.on("request", began)


def _is_document_of(page: Page | None, request: Any) -> bool:
    if page is None or not request.is_navigation_request():
        return False
    try:
        frame = request.frame
    except PlaywrightError:  # a popup's first navigation, before it has a frame
        return False
    main = page.main_frame
    return frame is main or frame is getattr(main, "_impl_obj", None)
