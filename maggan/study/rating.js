// Keys press the page's own buttons. Listening on the window comes before JupyterLab's shortcuts, which have the same
// keys; so it listens only while the page, or nothing at all, has the focus.
(() => {
  // in lower case, so that Caps Lock changes nothing; no arrow down, which scrolls
  const buttons = {1: "left", arrowleft: "left", 2: "same", 3: "right", arrowright: "right", u: "undo"};
  const find = (page, name) => page.querySelector(`.maggan-${name}:is(button)`);
  const onKey = (event) => {
    const focused = document.activeElement;
    const page = focused?.closest(".maggan-rating")
      ?? (focused === document.body ? document.querySelector(".maggan-rating") : null);
    const key = event.key?.toLowerCase();
    if (!page || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.shiftKey && !"123".includes(key)) return; // French keyboards have their digits with Shift
    const typing = focused.matches("input, textarea");
    if (typing && key !== "enter") return;
    const button = typing ? find(page, "start") : buttons[key] && find(page, buttons[key]);
    if (!button || !button.offsetParent) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (event.repeat) return;
    if (typing) focused.blur(); // sends the name before the button is pressed
    button.click();
  };
  // Each new task is read aloud. What is read must be there before its text is, hence not a part of that text.
  const onFocus = () => document.querySelectorAll(".maggan-task .widget-html-content")
    .forEach((task) => task.setAttribute("aria-live", "polite"));
  for (const [event, name, listener] of [["keydown", "magganOnKey", onKey], ["focusin", "magganOnFocus", onFocus]]) {
    window.removeEventListener(event, window[name], true);
    window[name] = listener;
    window.addEventListener(event, listener, true);
  }
})();
