/** idat completion: a script that teaches a shell the words of idat. */
import { Argument, Command } from 'commander';
import { completionScript, completions, SHELLS, type Shell } from '../completion.js';
import { print } from '../terminal.js';

export const completion = new Command('completion')
  .description('print a script that completes commands, flags and their values in a shell')
  .addArgument(new Argument('<shell>', 'which one').choices(SHELLS))
  .addHelpText(
    'after',
    "\nTo have it in every shell:\n  echo 'source <(idat completion bash)' >> ~/.bashrc\n  echo 'source <(idat completion zsh)' >> ~/.zshrc\n  idat completion fish > ~/.config/fish/completions/idat.fish",
  )
  .action((shell: Shell, _flags, self: Command) => {
    print(completionScript(shell, completions(self.parent!)));
  });
