(() => {
  "use strict";
  const loaded = Date.now();
  const lasting = (s) => {
    const m = Math.floor(s / 60), h = Math.floor(s / 3600), d = Math.floor(s / 86400);
    if (d) return d + " d " + (h % 24) + " h";
    if (h) return h + " h " + (m % 60) + " min";
    return m ? m + " min " + (s % 60) + " s" : s + " s";
  };
  const each = (selector, act) => document.querySelectorAll(selector).forEach(act);
  const tick = () => {
    const gone = Math.floor((Date.now() - loaded) / 1000);
    each("[data-left]", (e) => {
      e.textContent = lasting(Math.max(0, Number(e.dataset.left) - gone));
    });
    each("[data-up]", (e) => { e.textContent = lasting(Number(e.dataset.up) + gone); });
  };
  setInterval(tick, 1000);
  each("time", (e) => { e.title = new Date(e.dateTime).toLocaleString(); });
  document.addEventListener("keydown", (e) => {
    const q = document.getElementById("q");
    if (e.key === "/" && document.activeElement !== q && !e.ctrlKey && !e.metaKey && !e.altKey) {
      e.preventDefault();
      q.focus();
      q.select();
    }
  });
})();
