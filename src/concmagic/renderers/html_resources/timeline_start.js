// What an output carries as it is: it unpacks the other scripts and runs them for this output.

/** @param {string} id @param {string} payload @param {string} packed  the scripts and the style, as JSON */
async function concmagicStart(id, payload, packed) {
  const nonce = document.currentScript?.nonce; // a page that asks for one gave it to this script
  try {
    const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    const [code, style] = JSON.parse(await new Response(stream).text());
    const script = document.createElement("script");
    if (nonce) script.nonce = nonce;
    script.textContent = `(() => {${code}\nconcmagicUpgrade(${[id, payload, style].map((text) => JSON.stringify(text)).join(", ")});})();`;
    document.head.append(script);
    script.remove();
  } catch (error) { // the static picture stays
    console.error("concmagic:", error);
  }
}
