import Commands

EntryPoint.run(QuantCommand.self)
