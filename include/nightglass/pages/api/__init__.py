"""What the pages show, as JSON for programs; the document of it is for those who are signed in."""

from fastapi import APIRouter

from nightglass.pages.api import collections, document, nights

router = APIRouter()
router.include_router(document.router)
router.include_router(collections.router)
router.include_router(nights.router)

__all__ = ["router"]
