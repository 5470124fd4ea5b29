// Keys press the page's own buttons. Listening on the window comes before JupyterLab's shortcuts, which have the same
// keys; so it listens only while the page, or nothing at all, has the focus.
(() => {
  const buttons = {1: "left", ArrowLeft: "left", 2: "same", ArrowDown: "same", 3: "right", ArrowRight: "right", u: "undo"};
  const find = (page, name) => page.querySelector(`.maggan-${name}:is(button)`);
  const onKey = (event) => {
    const focused = document.activeElement;
    const page = focused?.closest(".maggan-rating")
      ?? (focused === document.body ? document.querySelector(".maggan-rating") : null);
    if (!page || event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = focused.matches("input, textarea");
    if (typing && event.key !== "Enter") return;
    const button = typing ? find(page, "start") : buttons[event.key] && find(page, buttons[event.key]);
    if (!button || !button.offsetParent) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (event.repeat) return;
    if (typing) focused.blur(); // sends the name before the button is pressed
    button.click();
  };
  window.removeEventListener("keydown", window.magganOnKey, true);
  window.magganOnKey = onKey;
  window.addEventListener("keydown", onKey, true);
})();
