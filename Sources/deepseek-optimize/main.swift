import Commands

EntryPoint.run(OptimizeCommand.self)
