#!/usr/bin/env python3
"""Opens reports and comparisons in Chromium, as a phone and a screen have them, light and dark, and has axe-core look for what keeps people out.

pages.py EXECUTABLE [--pages FILE...] [--screenshots DIRECTORY]

Without --pages two checkpoints are quantized from the demo model and their pages made. Each page must parse as HTML without an error, be below
400 kB, fetch nothing, not scroll sideways, lead the first Tab to its skip link, and leave axe-core without a violation. Needs chromium and its
driver (Debian: chromium-driver); where there is none, nothing is checked and that is said.
"""

import argparse
import pathlib
import shutil
import subprocess
import sys
import tempfile

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
LIMIT = 400_000


def make_pages(executable, folder):
  """A calibrated and a plain checkpoint, and both forms of a comparison."""
  common = [executable, "quant", "--quiet", "--overwrite", "--eval-tokens", "4096"]
  for name, flags in [("w8", ["--bits", "8", "--activations", "int8"]), ("w4", ["--bits", "4"]), ("w3", ["--bits", "3"])]:
    subprocess.run(common + flags + ["--output", folder / name], check=True, stdout=subprocess.DEVNULL)
  for count, names in [(2, ["w8", "w4"]), (3, ["w8", "w4", "w3"])]:
    subprocess.run(
      [executable, "compare", *(folder / name for name in names), "--output", folder / f"compare-{count}.html"],
      check=True, stdout=subprocess.DEVNULL)
  return [folder / "w8" / "report.html", folder / "w3" / "report.html", folder / "compare-2.html", folder / "compare-3.html"]


def open_browser():
  from selenium import webdriver

  options = webdriver.ChromeOptions()
  for flag in ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--hide-scrollbars"]:
    options.add_argument(flag)
  options.binary_location = shutil.which("chromium") or shutil.which("google-chrome")
  return webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=shutil.which("chromedriver")))


def problems_in_markup(page):
  import html5lib

  parser = html5lib.HTMLParser()
  parser.parse(page.read_text())
  found = [f"line {place[0]}: {code} {data}" for place, code, data in parser.errors]
  size = page.stat().st_size
  return found + ([f"{size} bytes"] if size >= LIMIT else [])


def problems_in_browser(browser, page, axe, width, scheme, screenshots):
  """What is wrong at that width in that colour scheme."""
  from selenium.webdriver.common.by import By
  from selenium.webdriver.common.keys import Keys

  phone = width < 600
  browser.execute_cdp_cmd(
    "Emulation.setDeviceMetricsOverride", {"width": width, "height": 900, "deviceScaleFactor": 2 if phone else 1, "mobile": phone})
  browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
  browser.get(page.resolve().as_uri())
  found = []
  if browser.execute_script("return performance.getEntriesByType('resource').length"):
    found.append("it fetches something")
  browser.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
  if browser.switch_to.active_element.get_attribute("class") != "skip":
    found.append("the first Tab does not lead to the skip link")
  browser.execute_script("document.querySelectorAll('details').forEach(each => each.open = true)")
  overflow = browser.execute_script("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
  if overflow > 0:
    found.append(f"it scrolls sideways by {overflow} pixels")
  browser.execute_script(axe)
  result = browser.execute_async_script(
    "const done = arguments[1]; axe.run(document, {runOnly: arguments[0]}).then(done, error => done({error: String(error)}))", TAGS)
  if "error" in result:
    raise RuntimeError(result["error"])
  for violation in result["violations"]:
    places = "; ".join(node["html"][:100] + " " + node["failureSummary"].replace("\n", " ")[:200] for node in violation["nodes"][:3])
    found.append(f"{violation['id']} in {len(violation['nodes'])} places: {places}")
  if screenshots:
    import base64

    browser.execute_script("document.activeElement.blur(); document.querySelectorAll('details').forEach(each => each.open = false)")
    height = browser.execute_script("return document.documentElement.scrollHeight")
    picture = browser.execute_cdp_cmd(
      "Page.captureScreenshot",
      {"captureBeyondViewport": True, "clip": {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}})
    name = f"{page.parent.name}-{page.stem}-{width}-{scheme}.png"
    (screenshots / name).write_bytes(base64.b64decode(picture["data"]))
  return found, len(result["passes"])


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("executable", type=pathlib.Path)
  parser.add_argument("--pages", nargs="*", type=pathlib.Path)
  parser.add_argument("--screenshots", type=pathlib.Path)
  arguments = parser.parse_args()
  if not shutil.which("chromedriver"):
    print("chromedriver is not there: pages are not opened")
    return 0
  import axe_playwright_python

  axe = next(pathlib.Path(axe_playwright_python.__file__).parent.rglob("axe.min.js")).read_text()
  failures = 0
  with tempfile.TemporaryDirectory() as temporary:
    pages = arguments.pages or make_pages(arguments.executable.resolve(), pathlib.Path(temporary))
    if arguments.screenshots:
      arguments.screenshots.mkdir(parents=True, exist_ok=True)
    browser = open_browser()
    try:
      for page in pages:
        problems = problems_in_markup(page)
        checks = 0
        for width in (1280, 390):
          for scheme in ("light", "dark"):
            found, passed = problems_in_browser(browser, page, axe, width, scheme, arguments.screenshots)
            problems += [f"{width} pixels, {scheme}: {problem}" for problem in found]
            checks += passed
        failures += len(problems)
        print(f"{page.parent.name}/{page.name}: {page.stat().st_size} bytes, {checks} checks, {len(problems)} problems")
        for problem in problems:
          print(f"  {problem}")
    finally:
      browser.quit()
  return 1 if failures else 0


if __name__ == "__main__":
  sys.exit(main())
