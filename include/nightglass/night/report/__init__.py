"""The report of a night: one HTML file that explains itself and asks no host for anything."""

from nightglass.night.report.page import ReportPage, build_page
from nightglass.night.report.rendering import content_policy, render_report, style, templates

__all__ = ["ReportPage", "build_page", "content_policy", "render_report", "style", "templates"]
