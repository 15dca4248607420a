import { runCli } from '../cli/run-cli.ts';

// The commands of the CLI alone, without the processes that main.ts starts.
process.exitCode = await runCli(process.argv.slice(2));
