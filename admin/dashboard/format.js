const counts = new Intl.NumberFormat('en-US');

export const count = (value) => counts.format(Math.round(value));

export function bytes(value) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const unit = value < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(value) / 10));
  return `${(value / 1024 ** unit).toFixed(unit === 0 ? 0 : 1)} ${units[unit]}`;
}

export function duration(ms) {
  if (ms === null || ms === undefined) return '–';
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  const two = (value) => String(value).padStart(2, '0');
  if (seconds < 3600) return `${Math.floor(seconds / 60)}:${two(seconds % 60)} min`;
  return `${Math.floor(seconds / 3600)}:${two(Math.floor(seconds / 60) % 60)} h`;
}

export const percent = (part, whole) => (whole === 0 ? 0 : Math.min(100, (part / whole) * 100));

export const clock = (ms) => new Date(ms).toLocaleTimeString('en-GB');

export const dateTime = (ms) => `${new Date(ms).toLocaleDateString('en-CA')} ${clock(ms)}`;

/** `switched_replicas` as people read it. */
export const phaseName = (phase) => phase.replaceAll('_', ' ');
