import { runCli } from '../cli/build-cli.ts';

// The commands of the CLI alone, without the processes that main.ts starts.
process.exitCode = await runCli(process.argv);
