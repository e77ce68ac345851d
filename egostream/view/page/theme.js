// Dark or light: as the system says, until the button is pressed.

const KEY = "egostream-theme";
const system = matchMedia("(prefers-color-scheme: dark)");

function stored() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null; // storage is forbidden
  }
}

/** Follow the system or the button. changed(): called after each change. */
export function followTheme(button, changed) {
  const apply = (theme) => {
    document.documentElement.dataset.theme = theme;
    button.setAttribute("aria-label", theme === "dark" ? "Switch to light" : "Switch to dark");
    button.title = button.getAttribute("aria-label");
    changed();
  };
  const bySystem = () => (system.matches ? "dark" : "light");
  apply(stored() ?? bySystem());
  system.addEventListener("change", () => stored() ?? apply(bySystem()));
  button.addEventListener("click", () => {
    const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      // then it holds until the page is loaded again
    }
    apply(theme);
  });
}
