import Commands

EntryPoint.run(EntryPoint.command(named: CommandLine.arguments.first ?? ""))
