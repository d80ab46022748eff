// Light or dark: as the page says of itself, else as the background is that the picture stands on.

const SAYS_THEME = ["class", "data-jp-theme-light", "data-vscode-theme-kind", "data-theme", "data-bs-theme", "data-md-color-scheme", "theme"];

/** Whether an element says that it is dark; undefined where it says nothing. @param {Element} element */
function saysDark(element) {
  const lab = element.getAttribute("data-jp-theme-light");
  if (lab !== null) return lab === "false";
  const code = element.getAttribute("data-vscode-theme-kind") || element.className;
  if (/vscode-(high-contrast-)?light/.test(code)) return false;
  if (/vscode-(dark|high-contrast)/.test(code)) return true;
  const said = SAYS_THEME.slice(3).map((name) => element.getAttribute(name) || "").join(" ");
  if (/dark|slate|night|black/i.test(said)) return true;
  return /light|default|white/i.test(said) ? false : undefined;
}

/** Whether a colour of CSS is dark; undefined where it is nearly clear. @param {string} colour */
function colourIsDark(colour) {
  const [red, green, blue, alpha = 1] = (colour.match(/[\d.]+/g) || []).map(Number);
  if (blue === undefined || alpha < 0.5) return undefined;
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue < 110;
}

/** Whether what an element stands on is dark. @param {Element} element */
function standsOnDark(element) {
  /** @type {Node | null} */ let on = element.parentNode;
  while (on) {
    const dark = on instanceof Element ? colourIsDark(getComputedStyle(on).backgroundColor) : undefined;
    if (dark !== undefined) return dark;
    on = on instanceof ShadowRoot ? on.host : on.parentNode;
  }
  return undefined;
}

/** @param {Element} host */
function pageIsDark(host) {
  return saysDark(document.body) ?? saysDark(document.documentElement) ?? standsOnDark(host)
    ?? matchMedia("(prefers-color-scheme: dark)").matches;
}
