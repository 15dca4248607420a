const NEXT = { auto: 'light', light: 'dark', dark: 'auto' };
const NAMES = { auto: 'automatic', light: 'light', dark: 'dark' };
const SIGNS = { auto: '◐', light: '☀', dark: '☾' };

/** Light, dark, or what the system says. */
export function setUpTheme(button) {
  const apply = (theme) => {
    if (theme === 'auto') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    button.textContent = SIGNS[theme];
    button.setAttribute('aria-label', `Colours: ${NAMES[theme]}`);
    button.title = `Colours: ${NAMES[theme]}`;
    localStorage.setItem('switchyard-theme', theme);
  };
  const current = () => localStorage.getItem('switchyard-theme') ?? 'auto';
  apply(NAMES[current()] === undefined ? 'auto' : current());
  button.addEventListener('click', () => apply(NEXT[current()]));
}
